// SPDX-License-Identifier: Apache-2.0
// The factorizations that come from the singular value decomposition W = U S V', truncated at the rank.
#pragma once

#include <cmath>  // sqrt
#include <string_view>
#include <utility>  // move

#include <graft/adapters/policies/factors.hpp>
#include <graft/linalg/truncated_svd.hpp>

namespace graft::adapters::policies {

namespace detail {
/// A = diag(left(s)) V' and B = U diag(right(s)).
template <class OnA, class OnB>
[[nodiscard]] Factors<double> share_values(linalg::Svd svd, OnA on_a, OnB on_b) {
  for (Index k = 0; k < svd.vt.rows(); ++k) {
    const double value = svd.s[static_cast<std::size_t>(k)];
    for (Index j = 0; j < svd.vt.cols(); ++j) {
      svd.vt(k, j) *= on_a(value);
    }
    for (Index i = 0; i < svd.u.rows(); ++i) {
      svd.u(i, k) *= on_b(value);
    }
  }
  return {std::move(svd.vt), std::move(svd.u)};
}
}  // namespace detail

/// A = sqrt(S/s) V', B = U sqrt(S/s): s B A is the best approximation of W of that rank (PiSSA, Meng et al. 2024).
struct PrincipalComponents {
  static constexpr std::string_view name = "principal-components";  ///< in files
  /// Nothing is drawn; NaN or infinity in the weight is adapter.663.
  template <storable S>
  [[nodiscard]] static Factors<double> factors(View<const S> weight, Index rank, double scale, Random,
                                               const std::string& module) {
    const auto half = [=](double value) { return std::sqrt(value / scale); };
    return detail::share_values(linalg::truncated_svd(weight, rank, module), half, half);
  }
};

/// A = S V', B = U: A carries the singular values (LoRA-XS, Balazy et al. 2024).
struct SingularDirections {
  static constexpr std::string_view name = "singular-directions";  ///< in files
  /// Nothing is drawn; NaN or infinity in the weight is adapter.663.
  template <storable S>
  [[nodiscard]] static Factors<double> factors(View<const S> weight, Index rank, double, Random,
                                               const std::string& module) {
    return detail::share_values(
        linalg::truncated_svd(weight, rank, module), [](double value) { return value; }, [](double) { return 1.0; });
  }
};

static_assert(factorization<PrincipalComponents> && factorization<SingularDirections>);

}  // namespace graft::adapters::policies
