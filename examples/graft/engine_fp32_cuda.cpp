// SPDX-License-Identifier: Apache-2.0
#include <graft/backends/cuda.hpp>
#include <graft/backends/cuda/nccl.hpp>

#include "engine_of.hpp"

namespace graft::program {

bool has_cuda_device() {
  return backends::cuda::Queue::count() > 0;
}

std::unique_ptr<Engine> make_fp32_cuda_engine(const models::Checkpoint& checkpoint) {
  const backends::Cuda be(std::make_shared<backends::cuda::Queue>(static_cast<int>(Processes().rank_on_machine())));
  return std::make_unique<EngineOf<Uniform<float>, backends::Cuda, backends::cuda::Nccl<Processes>>>(checkpoint, "CUDA",
                                                                                                     be);
}

}  // namespace graft::program
