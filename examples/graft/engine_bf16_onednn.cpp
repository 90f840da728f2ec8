// SPDX-License-Identifier: Apache-2.0
#include <graft/backends/gemm/onednn.hpp>

#include "engine_of.hpp"

namespace graft::program {

std::unique_ptr<Engine> make_bf16_engine(const models::Checkpoint& checkpoint) {
  backends::Simd<backends::OneDnn> be;
  if (be.multiplies_bf16()) {
    be.block_rows = be.native_bf16_rows;
  }
  return std::make_unique<EngineOf<Mixed<bf16, float>, backends::Simd<backends::OneDnn>>>(checkpoint, "oneDNN", be);
}

}  // namespace graft::program
