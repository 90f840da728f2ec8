// SPDX-License-Identifier: Apache-2.0
// Tensors of seeded normal numbers, tensors from literal rows, and how far two matrices are apart.
#pragma once

#include <algorithm>  // max
#include <cmath>
#include <cstdint>
#include <initializer_list>
#include <limits>

#include <graft/core/random.hpp>
#include <graft/core/scalar.hpp>
#include <graft/core/tensor.hpp>

namespace graft::test {

/// Spacing of the numbers at 1: tolerances are small multiples of it times the length of a sum.
template <scalar T>
inline constexpr double epsilon = static_cast<double>(std::numeric_limits<real_type<T>>::epsilon());

/// Overwrites x with normal numbers; they depend on the seed and the place in x only.
template <scalar T>
void fill_normal(View<T> x, std::uint64_t seed) {
  const Random random(seed);
  for (Index i = 0; i < x.rows; ++i) {
    for (Index j = 0; j < x.cols; ++j) {
      x(i, j) = T(static_cast<real_type<T>>(random.normal(static_cast<std::uint64_t>(i * x.cols + j))));
    }
  }
}

template <scalar T>
[[nodiscard]] Tensor<T> normal(Index rows, Index cols, std::uint64_t seed) {
  Tensor<T> x(rows, cols);
  fill_normal(x.view(), seed);
  return x;
}

/// rows_of<float>({{1, 2}, {3, 4}}): every row of the same length.
template <scalar T>
[[nodiscard]] Tensor<T> rows_of(std::initializer_list<std::initializer_list<double>> rows) {
  Tensor<T> x(static_cast<Index>(rows.size()), static_cast<Index>(rows.begin()->size()));
  Index i = 0;
  for (const auto& row : rows) {
    Index j = 0;
    for (const double value : row) {
      x(i, j++) = T(static_cast<real_type<T>>(value));
    }
    ++i;
  }
  return x;
}

/// The real part of anything stored, in double.
template <storable T>
[[nodiscard]] double real_number(const T& value) {
  if constexpr (scalar<T>) {
    return static_cast<double>(real_part(value));
  } else {
    return to<double>(value);
  }
}

/// The largest absolute value of the real parts.
template <class A>
[[nodiscard]] double largest(View<A> x) {
  double found = 0;
  for (Index i = 0; i < x.rows; ++i) {
    for (Index j = 0; j < x.cols; ++j) {
      found = std::max(found, std::abs(real_number(x(i, j))));
    }
  }
  return found;
}

/// Largest difference of the real parts, over the largest entry of `expected`; infinite where a shape or a NaN differs.
template <class A, class B>
[[nodiscard]] double relative_error(View<A> found, View<B> expected) {
  if (found.rows != expected.rows || found.cols != expected.cols) {
    return std::numeric_limits<double>::infinity();
  }
  double error = 0;
  for (Index i = 0; i < found.rows; ++i) {
    for (Index j = 0; j < found.cols; ++j) {
      const double difference = std::abs(real_number(found(i, j)) - real_number(expected(i, j)));
      error = std::isnan(difference) ? std::numeric_limits<double>::infinity() : std::max(error, difference);
    }
  }
  const double unit = largest(expected);
  return unit > 0 ? error / unit : error;
}

/// |found - expected| over |expected|, each the root of the sum of squares of the real parts.
template <class A, class B>
[[nodiscard]] double relative_norm_error(View<A> found, View<B> expected) {
  if (found.rows != expected.rows || found.cols != expected.cols) {
    return std::numeric_limits<double>::infinity();
  }
  double difference = 0, size = 0;
  for (Index i = 0; i < found.rows; ++i) {
    for (Index j = 0; j < found.cols; ++j) {
      difference += std::pow(real_number(found(i, j)) - real_number(expected(i, j)), 2);
      size += std::pow(real_number(expected(i, j)), 2);
    }
  }
  return std::sqrt(difference / size);
}

/// Every element is the same, bit for bit but for the sign of zero.
template <class A, class B>
[[nodiscard]] bool identical(View<A> found, View<B> expected) {
  return relative_error(found, expected) == 0;
}

}  // namespace graft::test
