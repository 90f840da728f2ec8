// SPDX-License-Identifier: Apache-2.0
// The selections that greedy pivots are compared with: by norm, at random, and CURLoRA's, which prefers small norms.
#pragma once

#include <algorithm>  // min, partial_sort, upper_bound
#include <numeric>    // iota
#include <utility>    // swap

#include <graft/adapters/policies/selector.hpp>

namespace graft::adapters::policies {

/// The columns and rows of largest norm, the first index among equals. They may all point the same way.
struct LargestNorm {
  static constexpr std::string_view name = "largest-norm";  ///< in files
  /// J and K by falling norm.
  template <class B, class T>
  static Skeleton select(const B&, View<const T> weight, Index c, Index r, Random, const std::string&) {
    return {largest(linalg::ColumnItems<T>{weight}.squared_norms(), c),
            largest(linalg::RowItems<T>{weight}.squared_norms(), r)};
  }
  /// The first k indices of a list by falling score.
  [[nodiscard]] static std::vector<std::int32_t> largest(const std::vector<double>& scores, Index k) {
    std::vector<std::int32_t> order(scores.size());
    std::iota(order.begin(), order.end(), 0);
    std::partial_sort(order.begin(), order.begin() + k, order.end(), [&](std::int32_t a, std::int32_t b) {
      const double left = scores[static_cast<std::size_t>(a)];
      const double right = scores[static_cast<std::size_t>(b)];
      return left > right || (left == right && a < b);
    });
    order.resize(static_cast<std::size_t>(k));
    return order;
  }
};

/// Different columns and rows, each as likely as any other.
struct AtRandom {
  static constexpr std::string_view name = "random";  ///< in files
  /// J and K from streams of their own.
  template <class B, class T>
  static Skeleton select(const B&, View<const T> weight, Index c, Index r, Random random, const std::string&) {
    return {shuffled(weight.cols, c, random.child(0)), shuffled(weight.rows, r, random.child(1))};
  }

 private:
  static std::vector<std::int32_t> shuffled(Index count, Index k, Random random) {
    std::vector<std::int32_t> order(static_cast<std::size_t>(count));
    std::iota(order.begin(), order.end(), 0);
    for (Index i = 0; i < k; ++i) {
      const auto at = static_cast<std::uint64_t>(i);
      std::swap(order[at], order[at + random.below(at, static_cast<std::uint64_t>(count - i))]);
    }
    order.resize(static_cast<std::size_t>(k));
    return order;
  }
};

/// Drawn with replacement, column j with probability proportional to 1 / (p_j + 0.001), p_j = |W[:, j]|^2 / |W|^2, and rows
/// alike: CURLoRA (arXiv 2408.14572). An index may come twice.
struct LowNorm {
  static constexpr std::string_view name = "low-norm";  ///< in files
  static constexpr bool with_replacement = true;        ///< an index may come twice
  /// J and K from streams of their own.
  template <class B, class T>
  static Skeleton select(const B&, View<const T> weight, Index c, Index r, Random random, const std::string&) {
    return {drawn(probabilities(linalg::ColumnItems<T>{weight}.squared_norms()), c, random.child(0)),
            drawn(probabilities(linalg::RowItems<T>{weight}.squared_norms()), r, random.child(1))};
  }
  /// q_j, which sum to 1, from squared norms.
  [[nodiscard]] static std::vector<double> probabilities(std::vector<double> squared_norms) {
    const double total = std::accumulate(squared_norms.begin(), squared_norms.end(), 0.0);
    double sum = 0;
    for (double& q : squared_norms) {
      q = 1 / ((total > 0 ? q / total : 0) + 0.001);
      sum += q;
    }
    for (double& q : squared_norms) {
      q /= sum;
    }
    return squared_norms;
  }

 private:
  static std::vector<std::int32_t> drawn(std::vector<double> q, Index k, Random random) {
    std::partial_sum(q.begin(), q.end(), q.begin());
    std::vector<std::int32_t> list;
    for (Index i = 0; i < k; ++i) {
      const double at = random.uniform(static_cast<std::uint64_t>(i)) * q.back();
      list.push_back(static_cast<std::int32_t>(std::upper_bound(q.begin(), q.end() - 1, at) - q.begin()));
    }
    return list;
  }
};

static_assert(selector<LargestNorm> && selector<AtRandom> && selector<LowNorm>);

}  // namespace graft::adapters::policies
