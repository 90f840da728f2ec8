// SPDX-License-Identifier: Apache-2.0
// initializer: how the first factor of a low-rank update starts; the second starts at zero, so the update does too.
#pragma once

#include <cmath>

#include <graft/core/random.hpp>
#include <graft/core/scalar.hpp>
#include <graft/core/view.hpp>

namespace graft {

/// Fills a matrix from a random stream.
template <class I>
concept initializer = requires(View<double> a, Random random) { I::fill(a, random); };

namespace adapters::policies {

/// Uniform in +-1/sqrt(columns): torch's Linear, and PEFT's kaiming_uniform with a = sqrt(5).
struct KaimingUniform {
  /// Element i, counted row by row, is a function of draw i.
  template <scalar T>
  static void fill(View<T> a, Random random) {
    const double bound = 1.0 / std::sqrt(static_cast<double>(a.cols));
    for (Index i = 0; i < a.size(); ++i) {
      const double value = bound * (2.0 * random.uniform(static_cast<std::uint64_t>(i)) - 1.0);
      a(i / a.cols, i % a.cols) = T(static_cast<real_type<T>>(value));
    }
  }
};

/// Normal with standard deviation 1/rows: PEFT's "gaussian" (rows are the rank).
struct Gaussian {
  /// Element i, counted row by row, is a function of draw i.
  template <scalar T>
  static void fill(View<T> a, Random random) {
    for (Index i = 0; i < a.size(); ++i) {
      const double value = random.normal(static_cast<std::uint64_t>(i)) / static_cast<double>(a.rows);
      a(i / a.cols, i % a.cols) = T(static_cast<real_type<T>>(value));
    }
  }
};

static_assert(initializer<KaimingUniform> && initializer<Gaussian>);

}  // namespace adapters::policies
}  // namespace graft
