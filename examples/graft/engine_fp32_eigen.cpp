// SPDX-License-Identifier: Apache-2.0
#include <graft/backends/gemm/eigen.hpp>

#include "engine_of.hpp"

namespace graft::program {

std::unique_ptr<Engine> make_fp32_engine(const models::Checkpoint& checkpoint) {
  return std::make_unique<EngineOf<Uniform<float>, backends::Simd<backends::EigenGemm>>>(checkpoint, "Eigen");
}

}  // namespace graft::program
