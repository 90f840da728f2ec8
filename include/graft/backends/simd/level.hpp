// SPDX-License-Identifier: Apache-2.0
// levels: the bodies of simd/*.inl once for every instruction set, and the choice between them at run time.
#pragma once

#include <cmath>  // pow, sqrt
#include <concepts>
#include <cstddef>  // size_t
#include <cstdint>

#include <graft/backends/isa.hpp>
#include <graft/core/bf16.hpp>
#include <graft/core/view.hpp>
#include <graft/ops/activation.hpp>
#include <graft/ops/adamw.hpp>

namespace graft::backends::simd {

/// Columns of a row of scores that its query sees: [0, sinks) and [first, end), with sinks <= first <= end.
struct Visible {
  Index sinks = 0;  ///< columns [0, sinks)
  Index first = 0;  ///< the window's first column
  Index end = 0;    ///< one past its last
};

/// One step of ops::adamw.
using AdamWNumbers = ops::AdamWNumbers<float>;

/// Whether activation.inl computes this one.
[[nodiscard]] constexpr bool has_lanes(ops::Activation kind) {
  return kind == ops::Activation::silu || kind == ops::Activation::gelu_tanh;
}

/// 4 floats at a time, whatever the processor has.
struct Baseline {
  static constexpr Index width = 4;  ///< floats in a vector
#include <graft/backends/simd/bodies.inl>
};

#if defined(__x86_64__)

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma")
#endif
/// 8 floats at a time.
struct Avx2 {
  static constexpr Index width = 8;  ///< floats in a vector
#include <graft/backends/simd/bodies.inl>
};
#if defined(__clang__)
#pragma clang attribute pop
#pragma clang attribute push(__attribute__((target("avx2,fma,avx512f,avx512dq,avx512bw,avx512vl"))), \
                             apply_to = function)
#else
#pragma GCC pop_options
#pragma GCC push_options
#pragma GCC target("avx2,fma,avx512f,avx512dq,avx512bw,avx512vl")
#endif
/// 16 floats at a time.
struct Avx512 {
  static constexpr Index width = 16;  ///< floats in a vector
#include <graft/backends/simd/bodies.inl>
};
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

#else

using Avx2 = Baseline;
using Avx512 = Baseline;

#endif

/// Calls body(level) with the struct of `isa`.
template <class Body>
void at_level(Isa isa, const Body& body) {
  switch (isa) {
    case Isa::amx:
    case Isa::avx512_bf16:
    case Isa::avx512: return body(Avx512{});
    case Isa::avx2: return body(Avx2{});
    case Isa::baseline: return body(Baseline{});
  }
}

}  // namespace graft::backends::simd
