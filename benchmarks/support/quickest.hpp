// SPDX-License-Identifier: Apache-2.0
// Quickest: the processor's backend over the quickest gemm door that is installed.
#pragma once

#include <concepts>

#if __has_include(<oneapi/dnnl/dnnl.hpp>)
#include <graft/backends/gemm/onednn.hpp>
#else
#include <graft/backends/gemm/eigen.hpp>
#endif
#include <graft/backends/simd.hpp>
#include <graft/core/precision.hpp>

namespace graft::bench {

#if __has_include(<oneapi/dnnl/dnnl.hpp>)
using Quickest = backends::Simd<backends::OneDnn>;
#else
using Quickest = backends::Simd<backends::EigenGemm>;
#endif

/// The same as the program uses it for models of precision P.
template <precision P>
[[nodiscard]] Quickest quickest_for() {
  Quickest be;
  if (std::same_as<typename P::Stored, bf16> && be.multiplies_bf16()) {
    be.block_rows = be.native_bf16_rows;
  }
  return be;
}

}  // namespace graft::bench
