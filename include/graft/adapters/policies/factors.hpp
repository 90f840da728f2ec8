// SPDX-License-Identifier: Apache-2.0
// factorization: thin factors B A that a method takes from the weight it stands on, or draws, and then keeps frozen.
#pragma once

#include <algorithm>  // min
#include <concepts>
#include <string>

#include <graft/adapters/policies/initializer.hpp>
#include <graft/base/require.hpp>
#include <graft/core/tensor.hpp>

namespace graft {

/// A pair of thin matrices with a product B A of the weight's shape.
template <scalar T>
struct Factors {
  Tensor<T> a;  ///< (r,M)
  Tensor<T> b;  ///< (N,r)
};

/// Makes factors of rank r for a weight(N,M) under the scale s; `name` is the module, for errors.
template <class P>
concept factorization =
    requires(View<const double> weight, Index rank, double scale, Random random, const std::string& name) {
      { P::factors(weight, rank, scale, random, name) } -> std::same_as<Factors<double>>;
    };

/// Where a low-rank update starts: with a random A and B = 0, or with factors of the weight.
template <class P>
concept low_rank_start = initializer<P> || factorization<P>;

namespace adapters::policies {

/// The rank, if a map of this size has factors of that rank; else adapter.720.
inline Index factor_rank(Index rank, Index outputs, Index inputs, const std::string& name) {
  const Index limit = std::min(outputs, inputs);
  if (rank < 1 || rank > limit) {
    fail("adapter.720",
         "factors of a weight need 1 <= rank <= min(outputs, inputs) = " + std::to_string(limit) + "; found " +
             std::to_string(rank),
         name);
  }
  return rank;
}

}  // namespace adapters::policies
}  // namespace graft
