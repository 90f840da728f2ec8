// SPDX-License-Identifier: Apache-2.0
#include <graft/backends/cuda.hpp>

#include "engine_of.hpp"

namespace graft::program {

bool has_cuda_device() {
  return backends::cuda::Queue::count() > 0;
}

std::unique_ptr<Engine> make_fp32_cuda_engine(const models::Checkpoint& checkpoint) {
  return std::make_unique<EngineOf<Uniform<float>, backends::Cuda>>(checkpoint, "CUDA");
}

}  // namespace graft::program
