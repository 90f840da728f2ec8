// SPDX-License-Identifier: Apache-2.0
// kept_energy: how much of a matrix lies in the span of chosen columns, of chosen rows, and of both.
//
//   |P W|^2 / |W|^2,   |W Q|^2 / |W|^2,   |P W Q|^2 / |W|^2    P on the span of W[:, J], Q on that of W[K, :]
#pragma once

#include <cstdint>
#include <utility>  // as_const
#include <vector>

#include <graft/linalg/gram_schmidt.hpp>
#include <graft/linalg/items.hpp>
#include <graft/linalg/squared_norm.hpp>

namespace graft::linalg {

/// Shares of the squared Frobenius norm, from 0 to 1.
struct KeptEnergy {
  double columns = 0;  ///< |P W|^2
  double rows = 0;     ///< |W Q|^2
  double both = 0;     ///< |P W Q|^2, the most that a core between the two spans can reach
};

/// The shares that columns J and rows K of a weight keep; an index may stand there twice. A matrix of zeros keeps all.
template <class B, class S>
[[nodiscard]] KeptEnergy kept_energy(const B& be, View<const S> weight, const std::vector<std::int32_t>& columns,
                                     const std::vector<std::int32_t>& rows) {
  using T = detail::NumberOf<S>;
  const auto energy = [](const Tensor<T>& of) {
    double sum = 0;
    for (Index i = 0; i < of.rows(); ++i) {
      sum += squared_norm(of.view().middle_rows(i, 1));
    }
    return sum;
  };
  const auto basis_of = [&](const auto& items, const std::vector<std::int32_t>& list) {
    Tensor<T> basis(std::ssize(list), items.length());
    items.gather(list, basis.view());
    orthonormalize_after(be, basis.view(), 0);
    return basis;
  };
  double whole = 0;
  for (const double norm : RowItems<S>{weight}.squared_norms()) {
    whole += norm;
  }
  if (whole == 0) {
    return {1, 1, 1};
  }
  const Tensor<T> p = basis_of(ColumnItems<S>{weight}, columns);  // (c,N)
  const Tensor<T> q = basis_of(RowItems<S>{weight}, rows);        // (r,M)
  Tensor<T> left(p.rows(), weight.cols);                          // P W
  multiply(be, ColumnItems<S>{weight}, p.view(), left.view());    // (c,N)(N,M) -> (c,M)
  Tensor<T> right(q.rows(), weight.rows);                         // (W Q)'
  multiply(be, RowItems<S>{weight}, q.view(), right.view());      // (r,M)(N,M)' -> (r,N)
  Tensor<T> core(p.rows(), q.rows());                             // P W Q
  be.gemm_nt(T{1}, std::as_const(left).view(), q.view(), T{0}, core.view());
  return {energy(left) / whole, energy(right) / whole, energy(core) / whole};
}

}  // namespace graft::linalg
