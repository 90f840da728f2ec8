// SPDX-License-Identifier: Apache-2.0
// ThinQr: the factorization W = Q R, truncated at the rank. OLoRA, Buyukakyuz, arXiv 2406.01775.
#pragma once

#include <string_view>

#include <graft/adapters/policies/factors.hpp>
#include <graft/linalg/orthonormal_columns.hpp>

namespace graft::adapters::policies {

/// B = Q[:, :r] and A = R[:r] = B' W. The first r columns of Q depend on the first r columns of W only, so no other is
/// decomposed.
struct ThinQr {
  static constexpr std::string_view name = "thin-qr";  ///< in files
  /// Nothing is drawn; NaN or infinity in the weight is adapter.663.
  template <storable S>
  [[nodiscard]] static Factors<double> factors(View<const S> weight, Index rank, double, Random,
                                               const std::string& module) {
    const linalg::EigenMatrix<double> w = linalg::finite_double(weight, module);
    const linalg::EigenColumns q = linalg::orthonormal_columns(w.leftCols(rank));
    Factors<double> factors{Tensor<double>(rank, weight.cols), Tensor<double>(weight.rows, rank)};
    linalg::as_eigen(factors.a.view()).noalias() = q.transpose() * w;
    linalg::as_eigen(factors.b.view()) = q;
    return factors;
  }
};

static_assert(factorization<ThinQr>);

}  // namespace graft::adapters::policies
