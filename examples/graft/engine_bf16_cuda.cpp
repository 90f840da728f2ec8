// SPDX-License-Identifier: Apache-2.0
#include <graft/backends/cuda.hpp>

#include "engine_of.hpp"

namespace graft::program {

std::unique_ptr<Engine> make_bf16_cuda_engine(const models::Checkpoint& checkpoint) {
  backends::Cuda be;
  be.rounds = true;  // activations carry no more digits than the weights
  return std::make_unique<EngineOf<Mixed<bf16, float>, backends::Cuda>>(checkpoint, "CUDA", be);
}

}  // namespace graft::program
