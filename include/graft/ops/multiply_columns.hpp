// SPDX-License-Identifier: Apache-2.0
// multiply_columns: y = gain o x, column by column: a gain for each column, the same in every row (VeRA's b and d).
#pragma once

#include <graft/base/require.hpp>
#include <graft/core/scalar.hpp>
#include <graft/core/view.hpp>

namespace graft::ops {

namespace detail {
template <class G, class A, class B>
void check_gain(const View<G>& gain, const View<A>& x, const View<B>& y) {
  require(gain.cols == x.cols && x.cols == y.cols && x.rows == y.rows, "shape.129",
          "multiply_columns: x(T,N), y(T,N) and gain(1,N) disagree");
}
}  // namespace detail

/// y(T,N) = gain(1,N) o x(T,N). It is its own gradient: dx = gain o dy. x and y may be the same.
template <scalar T>
void multiply_columns(In<T> gain, In<T> x, View<T> y) {
  detail::check_gain(gain, x, y);
  for (Index i = 0; i < y.rows; ++i) {
    for (Index j = 0; j < y.cols; ++j) {
      y(i, j) = gain(0, j) * x(i, j);
    }
  }
}

}  // namespace graft::ops
