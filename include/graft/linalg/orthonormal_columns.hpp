// SPDX-License-Identifier: Apache-2.0
// orthonormal_columns: Q of the thin QR decomposition X = Q R, by classical Gram and Schmidt, each column projected twice.
// "Twice is enough": Giraud, Langou & Rozloznik, Computers & Mathematics with Applications 50, 2005.
#pragma once

#include <cmath>
#include <limits>
#include <string>

#include <graft/base/require.hpp>
#include <graft/linalg/eigen.hpp>

namespace graft::linalg {

/// A matrix of Eigen whose columns are contiguous, for work on columns.
using EigenColumns = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic>;

/// A copy in double; NaN or infinity is adapter.663.
template <class T>
  requires storable<std::remove_const_t<T>>
[[nodiscard]] EigenMatrix<double> finite_double(View<T> a, const std::string& where = {}) {
  EigenMatrix<double> copy = to_eigen_double(a);
  if (!copy.allFinite()) {
    fail("adapter.663", "a decomposition needs finite numbers; the weight holds NaN or infinity", where);
  }
  return copy;
}

/// Q(n,k) for X(n,k), k <= n, of which the first `done` columns are orthonormal, or zero, already. A column that depends on
/// those before it, to rounding, becomes zero.
[[nodiscard]] inline EigenColumns orthonormal_columns(EigenColumns x, Index done = 0) {
  for (Eigen::Index j = done; j < x.cols(); ++j) {
    auto column = x.col(j);
    const auto before = x.leftCols(j);
    const double length = column.norm();
    for (int pass = 0; pass < 2; ++pass) {
      const Eigen::VectorXd share = before.transpose() * column;
      column.noalias() -= before * share;
    }
    const double left = column.norm();
    const double rounding = std::numeric_limits<double>::epsilon() * static_cast<double>(x.rows()) * length;
    column *= left > rounding ? 1 / left : 0;
  }
  return x;
}

}  // namespace graft::linalg
