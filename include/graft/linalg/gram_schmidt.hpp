// SPDX-License-Identifier: Apache-2.0
// Gram-Schmidt, twice, in blocks of rows: an orthonormal basis Q of what given rows span, mostly by gemm.
//
//   a -= (a Q') Q, again, then a / |a|
//
// Bjorck 1994, "Numerics of Gram-Schmidt orthogonalization": twice is enough.
#pragma once

#include <algorithm>  // min
#include <cmath>      // sqrt
#include <limits>
#include <utility>  // as_const

#include <graft/core/scalar.hpp>
#include <graft/core/tensor.hpp>
#include <graft/core/view.hpp>
#include <graft/linalg/squared_norm.hpp>

namespace graft::linalg {

/// The products that are asked of a backend, which stands on a higher floor.
template <class B, class Number>
concept multiplier = requires(const B& be, Number one, View<const Number> c, View<Number> out) {
  be.gemm_nt(one, c, c, one, out);
  be.gemm_nn(one, c, c, one, out);
  be.copy(c, out);
  be.add(one, c, out);
};

/// rows(n,m) -= (rows Q') Q with an orthonormal Q(t,m).
template <class T, multiplier<T> B>
void project_out(const B& be, View<const T> q, View<T> rows) {
  if (q.rows > 0) {
    Tensor<T> shares(rows.rows, q.rows);
    be.gemm_nt(T{1}, View<const T>(rows), q, T{0}, shares.view());   // (n,m)(t,m)' -> (n,t)
    be.gemm_nn(T{-1}, std::as_const(shares).view(), q, T{1}, rows);  // (n,t)(t,m) -> (n,m)
  }
}

/// The same again: what rounding left of Q in rows that Q nearly explains goes too.
template <class T, multiplier<T> B>
void project_out_twice(const B& be, View<const T> q, View<T> rows) {
  project_out(be, q, rows);
  project_out(be, q, rows);
}

/// Makes the rows from `begin` on orthonormal to each other and to those before, which are so already. A row that the others
/// explain to rounding becomes zero.
template <class T, multiplier<T> B>
void orthonormalize_after(const B& be, View<T> rows, Index begin) {
  constexpr Index few = 32;  // rows that meet each other one by one
  const double noise = 16 * std::numeric_limits<T>::epsilon();
  for (; begin < rows.rows; begin += few) {
    const View<T> block = rows.middle_rows(begin, std::min(few, rows.rows - begin));
    Tensor<double> before(1, block.rows);
    for (Index i = 0; i < block.rows; ++i) {
      before(0, i) = squared_norm(View<const T>(block.middle_rows(i, 1)));
    }
    for (int twice = 0; twice < 2; ++twice) {
      project_out(be, View<const T>(rows.middle_rows(0, begin)), block);
      for (Index i = 0; i < block.rows; ++i) {
        const View<T> row = block.middle_rows(i, 1);
        project_out(be, View<const T>(block.middle_rows(0, i)), row);
        const double left = squared_norm(View<const T>(row));
        const bool explained = twice == 0 ? left <= noise * noise * before(0, i) : left == 0;
        const auto factor = static_cast<T>(explained ? 0 : 1 / std::sqrt(left));
        for (Index m = 0; m < row.cols; ++m) {
          row.data[m] *= factor;
        }
      }
    }
  }
}

}  // namespace graft::linalg
