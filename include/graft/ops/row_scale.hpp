// SPDX-License-Identifier: Apache-2.0
// row_scale: a factor for each row, the same in every column (DoRA's magnitudes, LoHa's factors), and its gradient.
#pragma once

#include <graft/base/require.hpp>
#include <graft/core/scalar.hpp>
#include <graft/core/view.hpp>

namespace graft::ops {

namespace detail {
template <class A, class B, class C>
void check_rows(const View<A>& column, const View<B>& x, const View<C>& y) {
  require(column.rows == x.rows && column.cols == 1 && x.cols == y.cols && x.rows == y.rows, "shape.129",
          "row_scale: x(T,N), y(T,N) and the column (T,1) disagree");
}
}  // namespace detail

/// y(T,N) = scale(T,1) o x(T,N) + beta y, row by row. It is its own gradient: dx = scale o dy. beta 0 ignores y; x may be y.
template <scalar T>
void multiply_rows(In<T> scale, In<T> x, Same<T> beta, View<T> y) {
  detail::check_rows(scale, x, y);
  for (Index i = 0; i < y.rows; ++i) {
    for (Index j = 0; j < y.cols; ++j) {
      y(i, j) = scale(i, 0) * x(i, j) + (beta == T{} ? T{} : beta * y(i, j));
    }
  }
}

/// sum(T,1) += the row sums of x o y, columns in order: dscale, from x and dy.
template <scalar T>
void add_row_dots(In<T> x, In<T> y, View<T> sum) {
  detail::check_rows(sum, x, y);
  for (Index i = 0; i < y.rows; ++i) {
    T dot{};
    for (Index j = 0; j < y.cols; ++j) {
      dot += x(i, j) * y(i, j);
    }
    sum(i, 0) += dot;
  }
}

}  // namespace graft::ops
