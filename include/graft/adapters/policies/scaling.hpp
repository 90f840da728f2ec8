// SPDX-License-Identifier: Apache-2.0
// scaling: the factor s before an update, from alpha and rank.
#pragma once

#include <cmath>
#include <concepts>
#include <string_view>

#include <graft/base/index.hpp>

namespace graft {

/// Computes s from alpha and the rank.
template <class S>
concept scaling = requires(double alpha, Index rank) {
  { S::scale(alpha, rank) } -> std::convertible_to<double>;
};

namespace adapters::policies {

/// s = alpha / r (Hu et al. 2021); for PMSS r is the larger of its two sides.
struct AlphaOverRank {
  static constexpr std::string_view name = "alpha/rank";  ///< in files
  /// The factor s.
  static constexpr double scale(double alpha, Index rank) { return alpha / static_cast<double>(rank); }
};

/// s = alpha / sqrt(r), which keeps the update's size as the rank grows (rsLoRA, Kalajdzievski 2023).
struct AlphaOverRootRank {
  static constexpr std::string_view name = "alpha/sqrt(rank)";  ///< in files
  /// The factor s.
  static double scale(double alpha, Index rank) { return alpha / std::sqrt(static_cast<double>(rank)); }
};

/// s = alpha, whatever the rank, and 1 where no alpha is asked for (CURLoRA, Fawi 2024).
struct JustAlpha {
  static constexpr std::string_view name = "alpha";  ///< in files
  static constexpr double usual = 1;                 ///< s where alpha is left open
  /// The factor s.
  static constexpr double scale(double alpha, Index) { return alpha; }
};

static_assert(scaling<AlphaOverRank> && scaling<AlphaOverRootRank> && scaling<JustAlpha>);

}  // namespace adapters::policies
}  // namespace graft
