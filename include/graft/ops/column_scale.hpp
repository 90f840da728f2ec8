// SPDX-License-Identifier: Apache-2.0
// column_scale: a factor for each column, the same in every row (IA3, DoRA, VeRA), and its gradient.
#pragma once

#include <graft/base/require.hpp>
#include <graft/core/scalar.hpp>
#include <graft/core/view.hpp>

namespace graft::ops {

namespace detail {
template <class A, class B, class C>
void check_columns(const View<A>& row, const View<B>& x, const View<C>& y) {
  require(row.cols == x.cols && x.cols == y.cols && x.rows == y.rows, "shape.129",
          "column_scale: x(T,N), y(T,N) and the row (1,N) disagree");
}
}  // namespace detail

/// y(T,N) = scale(1,N) o x(T,N). It is its own gradient: dx = scale o dy. x and y may be the same.
template <scalar T>
void multiply_columns(In<T> scale, In<T> x, View<T> y) {
  detail::check_columns(scale, x, y);
  for (Index i = 0; i < y.rows; ++i) {
    for (Index j = 0; j < y.cols; ++j) {
      y(i, j) = scale(0, j) * x(i, j);
    }
  }
}

/// y += (scale - 1) x, column by column: a y that contains x contains scale x afterwards. The gradient with respect to x
/// is this again: dx += (scale - 1) dy beside dx = dy.
template <scalar T>
void rescale_columns(In<T> scale, In<T> x, View<T> y) {
  detail::check_columns(scale, x, y);
  for (Index i = 0; i < y.rows; ++i) {
    for (Index j = 0; j < y.cols; ++j) {
      y(i, j) += (scale(0, j) - T{1}) * x(i, j);
    }
  }
}

/// sum(1,N) += the column sums of x o y, rows in order: dscale, from x and dy.
template <scalar T>
void add_column_dots(In<T> x, In<T> y, View<T> sum) {
  detail::check_columns(sum, x, y);
  for (Index i = 0; i < y.rows; ++i) {
    for (Index j = 0; j < y.cols; ++j) {
      sum(0, j) += x(i, j) * y(i, j);
    }
  }
}

}  // namespace graft::ops
