// SPDX-License-Identifier: Apache-2.0
// thin_svd: the singular values of a matrix with their vectors.
//
//   a = U diag(s) V^T,   U (n,p) and V^T (p,m) with p = min(n,m), s falling
//
// Bidiagonal divide and conquer (Gu & Eisenstat 1995), as in Eigen. Signs of the vectors are arbitrary.
#pragma once

#include <algorithm>  // min, copy_n
#include <vector>

#include <Eigen/SVD>  // BDCSVD

#include <graft/base/require.hpp>
#include <graft/core/tensor.hpp>
#include <graft/core/view.hpp>
#include <graft/linalg/eigen.hpp>

namespace graft::linalg {

/// a = u * diag(s) * vt, in double.
struct Svd {
  Tensor<double> u;       ///< (n,p)
  std::vector<double> s;  ///< (p) falling
  Tensor<double> vt;      ///< (p,m)
};

/// The thin singular value decomposition of a.
template <class T>
  requires storable<std::remove_const_t<T>>
[[nodiscard]] Svd thin_svd(View<T> a) {
  const EigenMatrix<double> matrix = to_eigen_double(a);
  if (!matrix.allFinite()) {
    fail("adapter.663", "thin_svd: expected finite numbers, found NaN or infinity");
  }
  const Index p = std::min(a.rows, a.cols);
  Svd result{.u = Tensor<double>(a.rows, p),
             .s = std::vector<double>(static_cast<std::size_t>(p)),
             .vt = Tensor<double>(p, a.cols)};
  if (p > 0) {
    const Eigen::BDCSVD<Eigen::MatrixXd> svd(matrix, Eigen::ComputeThinU | Eigen::ComputeThinV);
    as_eigen(result.u.view()) = svd.matrixU();
    as_eigen(result.vt.view()) = svd.matrixV().transpose();
    std::copy_n(svd.singularValues().data(), p, result.s.data());
  }
  return result;
}

}  // namespace graft::linalg
