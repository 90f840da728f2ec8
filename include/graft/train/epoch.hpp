// SPDX-License-Identifier: Apache-2.0
// epoch_order: the order in which an epoch visits the examples, a function of seed and epoch alone.
// Fisher and Yates, in Durstenfeld's form: for i = n - 1 .. 1 swap place i with a place drawn from 0 .. i.
#pragma once

#include <utility>  // swap
#include <vector>

#include <graft/base/index.hpp>
#include <graft/core/random.hpp>

namespace graft::train {

/// Calls swap(i, j) for the exchanges that put `count` things into an order that is drawn, every one equally likely; each
/// stream of `random` gives another.
template <class Swap>
void shuffle(Index count, Random random, Swap&& swap) {
  for (Index i = count - 1; i > 0; --i) {
    swap(i, static_cast<Index>(random.below(static_cast<std::uint64_t>(i), static_cast<std::uint64_t>(i) + 1)));
  }
}

/// 0 .. count - 1, shuffled.
[[nodiscard]] inline std::vector<Index> epoch_order(Index count, Random random) {
  std::vector<Index> order;
  for (Index i = 0; i < count; ++i) {
    order.push_back(i);
  }
  shuffle(count, random,
          [&](Index i, Index j) { std::swap(order[static_cast<std::size_t>(i)], order[static_cast<std::size_t>(j)]); });
  return order;
}

}  // namespace graft::train
