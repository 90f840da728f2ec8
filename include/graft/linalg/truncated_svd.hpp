// SPDX-License-Identifier: Apache-2.0
// truncated_svd: the largest singular values of a matrix with their vectors, by products with a few columns.
//
//   Q = orth[Q, A'A q],  W = A Q        q: the newest block of Q
//   W'W Z = Z diag(s^2),  Q <- Q Z, W <- W Z        until A'W = Q diag(s^2) in the first r columns
//
// Block Lanczos, restarted with its best directions (Golub & Underwood 1977; Wu & Simon, SIAM J. Matrix Anal. Appl. 22, 2000,
// "thick restart"): the flat spectra of a model's weights settle with far fewer products than subspace iteration needs.
#pragma once

#include <algorithm>  // min
#include <cstdint>
#include <string>
#include <utility>  // move
#include <vector>

#include <Eigen/Eigenvalues>  // SelfAdjointEigenSolver

#include <graft/core/random.hpp>
#include <graft/linalg/orthonormal_columns.hpp>
#include <graft/linalg/svd.hpp>  // Svd

namespace graft::linalg {

/// The r largest singular values of a(n,m), 1 <= r <= min(n, m), with their vectors: u(n,r), s(r), vt(r,m). A'A turns none of
/// the vectors by more than 1e-10 of its largest eigenvalue, which leaves their product below the rounding of single precision;
/// a spectrum too flat for that ends after 60 restarts, with vectors that mix directions which the matrix itself hardly tells
/// apart. NaN or infinity is adapter.663.
template <class T>
  requires storable<std::remove_const_t<T>>
[[nodiscard]] Svd truncated_svd(View<T> a, Index r, const std::string& where = {}) {
  const EigenMatrix<double> matrix = finite_double(a, where);
  const Index smaller = std::min(a.rows, a.cols);
  const Index block = std::min(smaller, r + 8), most = std::min(smaller, 8 * block), kept = std::min(most, 2 * block);
  const Random random(0);  // the result is a function of the matrix alone
  EigenColumns start(a.rows, block);
  for (Index i = 0; i < start.size(); ++i) {
    start(i % a.rows, i / a.rows) = random.normal(static_cast<std::uint64_t>(i));
  }
  EigenColumns next = matrix.transpose() * start;  // among A's rows, as all that follows
  EigenColumns q(a.cols, 0), w(a.rows, 0);
  for (int restart = 0; restart < 60; ++restart) {
    while (q.cols() < most) {
      const Index done = q.cols(), added = std::min<Index>(next.cols(), most - done);
      q.conservativeResize(Eigen::NoChange, done + added);
      q.rightCols(added) = next.leftCols(added);
      q = orthonormal_columns(std::move(q), done);
      w.conservativeResize(Eigen::NoChange, done + added);
      w.rightCols(added).noalias() = matrix * q.rightCols(added);  // (n,m)(m,b) -> (n,b)
      next.noalias() = matrix.transpose() * w.rightCols(added);    // (m,n)(n,b) -> (m,b)
    }
    for (int pass = 0; pass < 2; ++pass) {  // against what the restart leaves out, too
      next -= q * (q.transpose() * next);
    }
    const Eigen::SelfAdjointEigenSolver<EigenColumns> ritz(w.transpose() * w);
    const Eigen::VectorXd squares = ritz.eigenvalues().reverse().head(kept);
    const EigenColumns z = ritz.eigenvectors().rowwise().reverse().leftCols(kept);
    q = (q * z).eval();
    w = (w * z).eval();
    const EigenColumns turned = matrix.transpose() * w.leftCols(r) - q.leftCols(r) * squares.head(r).asDiagonal();
    if (turned.colwise().norm().maxCoeff() <= 1e-10 * squares[0]) {
      break;
    }
  }
  EigenColumns y = orthonormal_columns(w.leftCols(block));  // what is left of a square root's rounding
  const EigenColumns pulled = matrix.transpose() * y;
  q = orthonormal_columns(pulled);
  const Eigen::JacobiSVD<EigenColumns, Eigen::NoQRPreconditioner> svd_of_core(
      pulled.transpose() * q, Eigen::ComputeFullU | Eigen::ComputeFullV);
  y = (y * svd_of_core.matrixU()).eval();
  q = (q * svd_of_core.matrixV()).eval();
  const Eigen::VectorXd values = svd_of_core.singularValues().head(r);
  Svd svd{.u = Tensor<double>(a.rows, r),
          .s = std::vector<double>(values.begin(), values.end()),
          .vt = Tensor<double>(r, a.cols)};
  as_eigen(svd.u.view()) = y.leftCols(r);
  as_eigen(svd.vt.view()) = q.leftCols(r).transpose();
  return svd;
}

}  // namespace graft::linalg
