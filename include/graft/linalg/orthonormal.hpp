// SPDX-License-Identifier: Apache-2.0
// Matrices with orthonormal rows (R R^T = I, r <= d): a random one, the nearest one, and how far one is from it.
//
//   R^T = Q with G^T = Q T, T upper triangular with a positive diagonal     (G gaussian: R is uniform, Mezzadri 2007)
//   polar: R = U V^T with G = U S V^T, the orthonormal rows nearest to G    (Fan & Hoffman 1955)
#pragma once

#include <cmath>  // abs
#include <concepts>
#include <limits>
#include <type_traits>  // invoke_result_t

#include <graft/base/require.hpp>
#include <graft/core/view.hpp>
#include <graft/linalg/eigen.hpp>
#include <graft/linalg/svd.hpp>

namespace graft::linalg {

namespace detail {

template <std::floating_point T>
void require_rows_fit(View<T> r) {
  require(r.rows <= r.cols, "shape.161", "orthonormal rows: more rows than columns cannot be orthonormal");
}

/// Refuses when the smallest of the `rows` scales of the matrix is rounding noise: then some row is arbitrary.
inline void require_full_rank(double smallest, double largest, Index length) {
  const double noise = std::numeric_limits<double>::epsilon() * static_cast<double>(length) * largest;
  if (!(smallest > noise)) {
    fail("adapter.662", "orthonormal rows: expected finite, linearly independent rows, found a matrix of lower rank");
  }
}

}  // namespace detail

/// max |R R^T - I|.
template <class T>
  requires std::floating_point<std::remove_const_t<T>>
[[nodiscard]] double orthonormality_error(View<T> r) {
  double worst = 0;
  for (Index i = 0; i < r.rows; ++i) {
    for (Index j = 0; j <= i; ++j) {
      double sum = i == j ? -1 : 0;
      for (Index k = 0; k < r.cols; ++k) {
        sum += static_cast<double>(r(i, k)) * static_cast<double>(r(j, k));
      }
      worst = std::abs(sum) <= worst ? worst : std::abs(sum);  // NaN wins
    }
  }
  return worst;
}

/// Replaces the rows of r by the orthonormal ones of its QR factorisation with a positive diagonal: Gram and Schmidt's.
template <std::floating_point T>
void orthonormalise_rows(View<T> r) {
  detail::require_rows_fit(r);
  if (r.empty()) {
    return;
  }
  const Eigen::MatrixXd columns = to_eigen_double(View<const T>(r)).transpose();
  const Eigen::HouseholderQR<Eigen::MatrixXd> qr(columns);
  const Eigen::VectorXd diagonal = qr.matrixQR().diagonal();
  const Eigen::VectorXd scales = diagonal.cwiseAbs();
  detail::require_full_rank(columns.allFinite() ? scales.minCoeff() : 0, scales.maxCoeff(), r.cols);
  const Eigen::MatrixXd q = qr.householderQ() * Eigen::MatrixXd::Identity(r.cols, r.rows);
  as_eigen(r) = (q * diagonal.cwiseSign().asDiagonal()).transpose().cast<T>();
}

/// Fills r with uniformly random orthonormal rows, as torch's orthogonal_ does. `gaussian()` yields standard normals.
template <std::floating_point T, class Gaussian>
  requires std::convertible_to<std::invoke_result_t<Gaussian&>, T>
void random_orthonormal_rows(View<T> r, Gaussian gaussian) {
  for (Index i = 0; i < r.rows; ++i) {
    for (Index j = 0; j < r.cols; ++j) {
      r(i, j) = static_cast<T>(gaussian());
    }
  }
  orthonormalise_rows(r);
}

/// Replaces r by the matrix with orthonormal rows that is nearest to it.
template <std::floating_point T>
void polar(View<T> r) {
  detail::require_rows_fit(r);
  if (r.empty()) {
    return;
  }
  const Svd svd = thin_svd(r);
  detail::require_full_rank(svd.s.back(), svd.s.front(), r.cols);
  as_eigen(r) = (as_eigen(svd.u.view()) * as_eigen(svd.vt.view())).template cast<T>();
}

}  // namespace graft::linalg
