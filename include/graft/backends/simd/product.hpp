// SPDX-License-Identifier: Apache-2.0
// products through a gemm door: fp32 as it is, bf16 by the door where the processor multiplies bf16, else widened by tiles.
#pragma once

#include <algorithm>  // copy_n, min
#include <concepts>
#include <type_traits>  // remove_const

#include <graft/backends/gemm/paired_rows.hpp>
#include <graft/backends/scratch.hpp>
#include <graft/backends/simd/level.hpp>
#include <graft/backends/simd/split.hpp>
#include <graft/core/scalar.hpp>

namespace graft::backends::simd {

/// Whether operands of type T are bf16 that the door Gemm multiplies as they are.
template <class Gemm, class T>
[[nodiscard]] bool multiplies_natively() {
  if constexpr (std::same_as<std::remove_const_t<T>, bf16> &&
                requires(View<const bf16> x, View<float> y) { Gemm::nt(x, x, y); }) {
    return Gemm::multiplies_bf16();
  } else {
    return false;
  }
}

/// c = alpha a b' + beta c.
struct Nt {
  /// One call of the gemm door.
  template <class Gemm>
  static void multiply(float alpha, View<const float> a, View<const float> b, float beta, View<float> c) {
    Gemm::nt(alpha, a, b, beta, c);
  }
  /// The part of b that makes columns [begin, begin + cols) of c.
  template <class T>
  static View<const T> part(View<const T> b, Index begin, Index cols) {
    return b.middle_rows(begin, cols);
  }
  /// Columns of c that are computed at once, where `depth` numbers are summed for each.
  template <class Gemm, class T>
  [[nodiscard]] static Index panel(Index depth) {
    return multiplies_natively<Gemm, T>() ? panel_cols_of_bf16(depth) : panel_cols;
  }
};

/// c = alpha a b + beta c.
struct Nn {
  /// One call of the gemm door.
  template <class Gemm>
  static void multiply(float alpha, View<const float> a, View<const float> b, float beta, View<float> c) {
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

/// Whether rows follow each other without a gap, as oneDNN's quick bf16 kernels want them.
template <class T>
[[nodiscard]] constexpr bool without_gaps(View<T> x) {
  return x.stride == x.cols || x.rows <= 1;
}

/// x without gaps: itself, or in this thread's memory.
[[nodiscard]] inline View<const bf16> dense(View<const bf16> x) {
  if (without_gaps(x)) {
    return x;
  }
  const View<bf16> y(scratch<Purpose::operand, bf16>(x.size()), x.rows, x.cols);
  for (Index i = 0; i < x.rows; ++i) {
    std::copy_n(x.row(i), x.cols, y.row(i));
  }
  return y;
}

/// c = alpha x + beta c, where compute(x) fills an x without gaps: c itself, or this thread's memory.
template <class Compute>
void put(Isa isa, float alpha, float beta, View<float> c, const Compute& compute) {
  if (alpha == 1.0f && beta == 0.0f && without_gaps(c)) {
    compute(c);
    return;
  }
  const View<float> x(scratch<Purpose::product, float>(c.size()), c.rows, c.cols);
  compute(x);
  at_level(isa, [&](auto level) {
    for (Index i = 0; i < c.rows; ++i) {
      if (beta == 0.0f) {
        level.fill_row(0.0f, c.cols, c.row(i));
      } else if (beta != 1.0f) {
        level.scale_row(beta, c.cols, c.row(i));
      }
      level.add_row(alpha, x.row(i), c.cols, c.row(i));
    }
  });
}

/// bf16 by a door that multiplies it: b' is read where it stands.
template <class Gemm>
void multiply_natively(Isa isa, Nt, float alpha, View<const bf16> a, View<const bf16> b, float beta, View<float> c) {
  put(isa, alpha, beta, c, [&](View<float> x) { Gemm::nt(dense(a), b, x); });
}
/// The same of b: as many rows at a time as fit into the second-level cache twice, put into pairs there.
template <class Gemm>
void multiply_natively(Isa isa, Nn, float alpha, View<const bf16> a, View<const bf16> b, float beta, View<float> c) {
  constexpr Index most = 768;
  for (Index k = 0; k < b.rows; k += most) {
    const Index rows = std::min(most, b.rows - k);
    put(isa, alpha, k == 0 ? beta : 1.0f, c, [&](View<float> x) {
      Gemm::nn(dense(a.middle_cols(k, rows)), paired(isa, b.middle_rows(k, rows)), x);
    });
  }
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
void multiply(Isa isa, Form form, float alpha, View<const bf16> a, View<const bf16> b, float beta, View<float> c) {
  if constexpr (requires(View<float> y) { Gemm::nt(a, b, y); }) {
    if (Gemm::multiplies_bf16() && a.cols > 0 && c.rows > 0) {  // else a sum of nothing, which oneDNN refuses
      multiply_natively<Gemm>(isa, form, alpha, a, b, beta, c);
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
