// SPDX-License-Identifier: Apache-2.0
// elementwise: copies with conversion, sums, bias rows, gains of columns, dropout, and the few whole-matrix reductions.
#pragma once

#include <cstdint>

#include <graft/base/require.hpp>
#include <graft/core/random.hpp>
#include <graft/core/scalar.hpp>
#include <graft/core/view.hpp>

namespace graft::ops {

namespace detail {
template <class A, class B>
void same_shape(const View<A>& a, const View<B>& b) {
  require(a.rows == b.rows && a.cols == b.cols, "shape.129", "elementwise: x(T,N) and y(T,N) disagree");
}
}  // namespace detail

/// y = x, converted.
template <class A, storable B>
void copy(View<A> x, View<B> y) {
  detail::same_shape(x, y);
  for (Index i = 0; i < x.rows; ++i) {
    for (Index j = 0; j < x.cols; ++j) {
      y(i, j) = to<B>(x(i, j));
    }
  }
}

/// y = value everywhere.
template <scalar T>
void fill(Same<T> value, View<T> y) {
  for (Index i = 0; i < y.rows; ++i) {
    for (Index j = 0; j < y.cols; ++j) {
      y(i, j) = value;
    }
  }
}

/// y += alpha x.
template <scalar T>
void add(Same<T> alpha, In<T> x, View<T> y) {
  detail::same_shape(x, y);
  for (Index i = 0; i < x.rows; ++i) {
    for (Index j = 0; j < x.cols; ++j) {
      y(i, j) += alpha * x(i, j);
    }
  }
}

/// y *= alpha.
template <scalar T>
void scale(Same<T> alpha, View<T> y) {
  for (Index i = 0; i < y.rows; ++i) {
    for (Index j = 0; j < y.cols; ++j) {
      y(i, j) *= alpha;
    }
  }
}

/// Every row of y(T,N) += alpha bias(1,N).
template <class S, scalar T>
void add_bias(Same<T> alpha, View<S> bias, View<T> y) {
  require(bias.cols == y.cols, "shape.129", "add_bias: bias(1,N) and y(T,N) disagree");
  for (Index i = 0; i < y.rows; ++i) {
    for (Index j = 0; j < y.cols; ++j) {
      y(i, j) += alpha * to<T>(bias(0, j));
    }
  }
}
/// The same with alpha = 1.
template <class S, scalar T>
void add_bias(View<S> bias, View<T> y) {
  add_bias(T{1}, bias, y);
}

/// sum(1,N) += alpha times the sum of the rows of y(T,N), in order: the gradient of a bias.
template <scalar T>
void add_column_sums(Same<T> alpha, In<T> y, View<T> sum) {
  require(sum.cols == y.cols, "shape.129", "add_column_sums: y(T,N) and sum(1,N) disagree");
  for (Index i = 0; i < y.rows; ++i) {
    for (Index j = 0; j < y.cols; ++j) {
      sum(0, j) += alpha * y(i, j);
    }
  }
}

/// y = x * mask / (1 - rate); the mask of element (i, j) is number (first_row + i) * cols + j of `random`, so that the
/// same call is the gradient too and nothing is kept. x and y may be the same.
template <scalar T>
void dropout(double rate, Random random, Index first_row, In<T> x, View<T> y) {
  detail::same_shape(x, y);
  const T kept(static_cast<real_type<T>>(1.0 / (1.0 - rate)));
  for (Index i = 0; i < x.rows; ++i) {
    for (Index j = 0; j < x.cols; ++j) {
      const auto number = static_cast<std::uint64_t>((first_row + i) * x.cols + j);
      y(i, j) = random.uniform(number) < rate ? T{} : x(i, j) * kept;
    }
  }
}

/// Sum of squares, in double, row by row in order.
template <class A>
[[nodiscard]] double squared_norm(View<A> x) {
  double sum = 0;
  for (Index i = 0; i < x.rows; ++i) {
    for (Index j = 0; j < x.cols; ++j) {
      const auto value = static_cast<double>(real_part(x(i, j)));
      sum += value * value;
    }
  }
  return sum;
}

/// x = 1 / x, and 0 where it is 0.
template <scalar T>
void invert(View<T> x) {
  for (Index i = 0; i < x.rows; ++i) {
    for (Index j = 0; j < x.cols; ++j) {
      x(i, j) = x(i, j) == T{} ? T{} : T{1} / x(i, j);
    }
  }
}

/// n(1,T): the norm of each row of x(T,N), its squares summed in double.
template <scalar T>
void row_norms(In<T> x, View<T> n) {
  require(n.cols == x.rows, "shape.129", "row_norms: x(T,N) and n(1,T) disagree");
  for (Index i = 0; i < x.rows; ++i) {
    n(0, i) = T(static_cast<real_type<T>>(std::sqrt(squared_norm(x.middle_rows(i, 1)))));
  }
}

}  // namespace graft::ops
