// SPDX-License-Identifier: Apache-2.0
// truncated_svd: the largest singular values of a matrix with their vectors, by products with a few columns.
//
//   Y = orth(A Q),  Q = orth(A' Y),  Y' A Q = X diag(s) Z',  Y <- Y X,  Q <- Q Z      until Q[:, :r] settles
//
// Subspace iteration with Rayleigh and Ritz (Halko, Martinsson & Tropp, SIAM Review 53, 2011, alg. 4.4) on r + 32 columns
// more than are asked for: what is wrong in vector k shrinks by (s_l / s_k)^2 a round, l being the number of columns.
#pragma once

#include <algorithm>  // min
#include <cstdint>
#include <string>
#include <vector>

#include <graft/core/random.hpp>
#include <graft/linalg/orthonormal_columns.hpp>
#include <graft/linalg/svd.hpp>  // Svd

namespace graft::linalg {

/// The r largest singular values of a(n,m), 1 <= r <= min(n, m), with their vectors: u(n,r), s(r), vt(r,m). The last round
/// moved their product by less than 1e-8 of the largest value, which is below the rounding of single precision; a spectrum
/// too flat for that ends after 100 rounds, with vectors that mix directions which the matrix itself hardly tells apart.
/// NaN or infinity is adapter.663.
template <class T>
  requires storable<std::remove_const_t<T>>
[[nodiscard]] Svd truncated_svd(View<T> a, Index r, const std::string& where = {}) {
  const EigenMatrix<double> matrix = finite_double(a, where);
  const Index columns = std::min({a.rows, a.cols, 2 * r + 32});
  const Random random(0);  // the result is a function of the matrix alone
  EigenColumns q(a.cols, columns);
  for (Index i = 0; i < q.size(); ++i) {
    q(i % a.cols, i / a.cols) = random.normal(static_cast<std::uint64_t>(i));
  }
  EigenColumns y;
  EigenColumns before = EigenColumns::Zero(a.cols, r);
  Eigen::VectorXd values;
  for (int round = 0; round < 100; ++round) {
    y = orthonormal_columns(matrix * q);                 // (n,m)(m,l) -> (n,l)
    const EigenColumns pulled = matrix.transpose() * y;  // (m,n)(n,l) -> (m,l)
    q = orthonormal_columns(pulled);
    const EigenColumns core = pulled.transpose() * q;  // Y' A Q
    const Eigen::JacobiSVD<EigenColumns, Eigen::NoQRPreconditioner> svd(core,
                                                                        Eigen::ComputeFullU | Eigen::ComputeFullV);
    y = (y * svd.matrixU()).eval();
    q = (q * svd.matrixV()).eval();
    values = svd.singularValues().head(r);
    const EigenColumns kept = q.leftCols(r) * values.asDiagonal();
    const double moved = (kept - before * (before.transpose() * kept)).norm();  // out of what was spanned before
    if (moved <= 1e-8 * values[0]) {
      break;
    }
    before = q.leftCols(r);
  }
  Svd svd{.u = Tensor<double>(a.rows, r),
          .s = std::vector<double>(values.begin(), values.end()),
          .vt = Tensor<double>(r, a.cols)};
  as_eigen(svd.u.view()) = y.leftCols(r);
  as_eigen(svd.vt.view()) = q.leftCols(r).transpose();
  return svd;
}

}  // namespace graft::linalg
