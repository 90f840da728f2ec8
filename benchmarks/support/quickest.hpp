// SPDX-License-Identifier: Apache-2.0
// Quickest: the processor's backend over the quickest gemm door that is installed.
#pragma once

#if __has_include(<oneapi/dnnl/dnnl.hpp>)
#include <graft/backends/gemm/onednn.hpp>
#else
#include <graft/backends/gemm/eigen.hpp>
#endif
#include <graft/backends/simd.hpp>

namespace graft::bench {

#if __has_include(<oneapi/dnnl/dnnl.hpp>)
using Quickest = backends::Simd<backends::OneDnn>;
#else
using Quickest = backends::Simd<backends::EigenGemm>;
#endif

}  // namespace graft::bench
