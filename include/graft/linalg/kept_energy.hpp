// SPDX-License-Identifier: Apache-2.0
// kept_energy: how much of a matrix lies in the span of chosen columns of a weight, of chosen rows, and of both.
//
//   |P D|^2 / |D|^2,   |D Q|^2 / |D|^2,   |P D Q|^2 / |D|^2    P on the span of W[:, J], Q on that of W[K, :]
//
// D is W itself, or what finetuning added to it.
#pragma once

#include <concepts>  // same_as
#include <cstdint>
#include <utility>  // as_const
#include <vector>

#include <graft/linalg/gram_schmidt.hpp>
#include <graft/linalg/items.hpp>
#include <graft/linalg/squared_norm.hpp>

namespace graft::linalg {

/// Shares of the squared Frobenius norm, from 0 to 1.
struct KeptEnergy {
  double columns = 0;  ///< |P D|^2
  double rows = 0;     ///< |D Q|^2
  double both = 0;     ///< |P D Q|^2, the most that a core between the two spans can reach
};

/// The shares of matrix(N,M) that columns J and rows K of weight(N,M) keep; an index may stand there twice. A matrix of zeros
/// is kept whole.
template <class B, class D, class S>
  requires std::same_as<detail::NumberOf<D>, detail::NumberOf<S>>
[[nodiscard]] KeptEnergy kept_energy(const B& be, View<const D> matrix, View<const S> weight,
                                     const std::vector<std::int32_t>& columns, const std::vector<std::int32_t>& rows) {
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
  for (const double norm : RowItems<D>{matrix}.squared_norms()) {
    whole += norm;
  }
  if (whole == 0) {
    return {1, 1, 1};
  }
  const Tensor<T> p = basis_of(ColumnItems<S>{weight}, columns);  // (c,N)
  const Tensor<T> q = basis_of(RowItems<S>{weight}, rows);        // (r,M)
  Tensor<T> left(p.rows(), matrix.cols);                          // P D
  multiply(be, ColumnItems<D>{matrix}, p.view(), left.view());    // (c,N)(N,M) -> (c,M)
  Tensor<T> right(q.rows(), matrix.rows);                         // (D Q)'
  multiply(be, RowItems<D>{matrix}, q.view(), right.view());      // (r,M)(N,M)' -> (r,N)
  Tensor<T> core(p.rows(), q.rows());                             // P D Q
  be.gemm_nt(T{1}, std::as_const(left).view(), q.view(), T{0}, core.view());
  return {energy(left) / whole, energy(right) / whole, energy(core) / whole};
}

/// The shares of the weight itself.
template <class B, class S>
[[nodiscard]] KeptEnergy kept_energy(const B& be, View<const S> weight, const std::vector<std::int32_t>& columns,
                                     const std::vector<std::int32_t>& rows) {
  return kept_energy(be, weight, weight, columns, rows);
}

}  // namespace graft::linalg
