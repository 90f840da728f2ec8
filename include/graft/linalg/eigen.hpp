// SPDX-License-Identifier: Apache-2.0
// as_eigen: a View seen by Eigen, without a copy. Eigen's decompositions enter where they are used.
#pragma once

#include <type_traits>

#include <Eigen/Core>

#include <graft/core/scalar.hpp>
#include <graft/core/view.hpp>

namespace graft::linalg {

/// A dynamic matrix of Eigen in our order of elements: row after row.
template <scalar T>
using EigenMatrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

/// The same memory as an Eigen expression; the View's row stride is Eigen's outer stride.
template <class T>
  requires scalar<std::remove_const_t<T>>
[[nodiscard]] auto as_eigen(View<T> view) {
  using Matrix = EigenMatrix<std::remove_const_t<T>>;
  using Pointee = std::conditional_t<std::is_const_v<T>, const Matrix, Matrix>;
  return Eigen::Map<Pointee, Eigen::Unaligned, Eigen::OuterStride<>>(view.data, view.rows, view.cols,
                                                                     Eigen::OuterStride<>(view.stride));
}

/// A copy in double, whatever the view holds; of complex numbers the real part.
template <class T>
  requires storable<std::remove_const_t<T>>
[[nodiscard]] EigenMatrix<double> to_eigen_double(View<T> view) {
  EigenMatrix<double> copy(view.rows, view.cols);
  for (Index i = 0; i < view.rows; ++i) {
    for (Index j = 0; j < view.cols; ++j) {
      if constexpr (scalar<std::remove_const_t<T>>) {
        copy(i, j) = static_cast<double>(real_part(view(i, j)));
      } else {
        copy(i, j) = to<double>(view(i, j));
      }
    }
  }
  return copy;
}

}  // namespace graft::linalg
