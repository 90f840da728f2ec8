// SPDX-License-Identifier: Apache-2.0
// products through a gemm door: fp32 as it is, bf16 by the door where the processor multiplies bf16, else widened by tiles.
#pragma once

#include <algorithm>  // min

#include <graft/backends/scratch.hpp>
#include <graft/backends/simd/level.hpp>
#include <graft/core/scalar.hpp>

namespace graft::backends::simd {

/// c = alpha a b' + beta c.
struct Nt {
  /// One call of the gemm door.
  template <class Gemm, class T>
  static void multiply(float alpha, View<const T> a, View<const T> b, float beta, View<float> c) {
    Gemm::nt(alpha, a, b, beta, c);
  }
  /// The part of b that makes columns [begin, begin + cols) of c.
  template <class T>
  static View<const T> part(View<const T> b, Index begin, Index cols) {
    return b.middle_rows(begin, cols);
  }
};

/// c = alpha a b + beta c.
struct Nn {
  /// One call of the gemm door.
  template <class Gemm, class T>
  static void multiply(float alpha, View<const T> a, View<const T> b, float beta, View<float> c) {
    Gemm::nn(alpha, a, b, beta, c);
  }
  /// The part of b that makes columns [begin, begin + cols) of c.
  template <class T>
  static View<const T> part(View<const T> b, Index begin, Index cols) {
    return b.middle_cols(begin, cols);
  }
};

/// fp32: one call of the gemm door.
template <class Gemm, class Form>
void multiply(Isa, Form, float alpha, View<const float> a, View<const float> b, float beta, View<float> c) {
  Form::template multiply<Gemm>(alpha, a, b, beta, c);
}

/// x in fp32, in this thread's memory.
template <Purpose purpose>
[[nodiscard]] View<const float> widened(Isa isa, View<const bf16> x) {
  const View<float> wide(scratch<purpose, float>(x.size()), x.rows, x.cols);
  at_level(isa, [&](auto level) {
    for (Index i = 0; i < x.rows; ++i) {
      level.copy_row(x.row(i), x.cols, wide.row(i));
    }
  });
  return wide;
}

/// bf16 summed in fp32: by the door, or widened, 128 columns of c at a time.
template <class Gemm, class Form>
void multiply(Isa isa, Form, float alpha, View<const bf16> a, View<const bf16> b, float beta, View<float> c) {
  if constexpr (requires { Gemm::nt(alpha, a, b, beta, c); }) {
    if (Gemm::multiplies_bf16()) {
      Form::template multiply<Gemm>(alpha, a, b, beta, c);
      return;
    }
  }
  constexpr Index tile = 128;
  const View<const float> wide = widened<Purpose::operand>(isa, a);
  for (Index j = 0; j < c.cols; j += tile) {
    const Index cols = std::min(tile, c.cols - j);
    Form::template multiply<Gemm>(alpha, wide, widened<Purpose::weight>(isa, Form::part(b, j, cols)), beta,
                                  c.middle_cols(j, cols));
  }
}

}  // namespace graft::backends::simd
