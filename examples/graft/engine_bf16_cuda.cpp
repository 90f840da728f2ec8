// SPDX-License-Identifier: Apache-2.0
#include <graft/backends/cuda.hpp>
#include <graft/backends/cuda/nccl.hpp>

#include "engine_of.hpp"

namespace graft::program {

std::unique_ptr<Engine> make_bf16_cuda_engine(const models::Checkpoint& checkpoint) {
  backends::Cuda be(std::make_shared<backends::cuda::Queue>(static_cast<int>(Processes().rank_on_machine())));
  be.rounds = true;  // activations carry no more digits than the weights
  return std::make_unique<EngineOf<Mixed<bf16, float>, backends::Cuda, backends::cuda::Nccl<Processes>>>(checkpoint,
                                                                                                        "CUDA", be);
}

}  // namespace graft::program
