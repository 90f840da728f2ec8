// SPDX-License-Identifier: Apache-2.0
// SmolLM2 in fp32 with the methods that its golden runs use, all in one type, so that the model is compiled once.
#pragma once

#include <graft/adapters/lora.hpp>
#include <graft/adapters/pmss.hpp>
#include <graft/adapters/subspace.hpp>
#include <graft/backends/simd.hpp>
#include <graft/io/json.hpp>
#include <graft/models/attach.hpp>
#include <graft/models/llama.hpp>
#include <graft/models/open_checkpoint.hpp>
#if __has_include(<oneapi/dnnl/dnnl.hpp>)
#include <graft/backends/gemm/onednn.hpp>
#else
#include <graft/backends/gemm/eigen.hpp>
#endif

#include <fstream>
#include <string>
#include <vector>

#include "support/householder_basis.hpp"
#include "support/paths.hpp"

namespace graft::test {

#if __has_include(<oneapi/dnnl/dnnl.hpp>)
using RealBackend = backends::Simd<backends::OneDnn>;
#else
using RealBackend = backends::Simd<backends::EigenGemm>;
#endif
using RealModel = models::Llama<Uniform<float>, RealBackend>;

/// LoReFT in pyreft's (d,d) parametrisation.
using PyreftLoReft = adapters::Subspace<4, Householder, adapters::policies::Affine, adapters::policies::Difference,
                                        adapters::policies::RandomStart>;
using RealMethods = Stack<At<site::linear, adapters::Lora<>>, At<site::linear, adapters::Pmss<>>,
                          At<site::residual, PyreftLoReft>, At<site::residual, adapters::LoReft<4>>>;
using RealAttached = Attached<float, RealMethods>;

/// Part I of the methods alone, where `placement` says.
template <std::size_t I, class Adapter>
[[nodiscard]] RealMethods real_method(const Adapter& adapter, const Placement& placement) {
  RealMethods stack;
  std::apply([](auto&... at) { ((at.placement.sites = site::none), ...); }, stack.parts);
  std::get<I>(stack.parts).adapter = adapter;
  std::get<I>(stack.parts).placement = placement;
  return stack;
}

[[nodiscard]] inline RealModel real_model() {
  return RealModel::load(models::open_checkpoint(smollm2()));
}

/// A file of golden/smollm2.
[[nodiscard]] inline std::string real_golden(const std::string& name) {
  return shared("golden/smollm2/" + name);
}

/// The rows of a JSONL file of golden/smollm2.
[[nodiscard]] inline std::vector<io::Json> real_golden_rows(const std::string& name) {
  std::vector<io::Json> rows;
  std::ifstream lines(real_golden(name));
  for (std::string line; std::getline(lines, line);) {
    rows.push_back(io::parse_json(line, name));
  }
  return rows;
}

}  // namespace graft::test
