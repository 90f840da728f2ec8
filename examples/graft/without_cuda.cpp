// SPDX-License-Identifier: Apache-2.0
// What --device cuda says where the program was built without nvcc.
#include <graft/base/require.hpp>

#include "engine.hpp"

namespace graft::program {

namespace {
[[noreturn]] void refuse_cuda() {
  fail("cuda.004", "this program was built without CUDA: expected --device cpu or auto, or a build where nvcc is found", "--device");
}
}  // namespace

bool has_cuda_device() {
  return false;
}
std::unique_ptr<Engine> make_fp32_cuda_engine(const models::Checkpoint&) {
  refuse_cuda();
}
std::unique_ptr<Engine> make_bf16_cuda_engine(const models::Checkpoint&) {
  refuse_cuda();
}

}  // namespace graft::program
