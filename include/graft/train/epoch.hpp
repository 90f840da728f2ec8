// SPDX-License-Identifier: Apache-2.0
// epoch_order: the order in which an epoch visits the examples, a function of seed and epoch alone.
// Fisher and Yates, in Durstenfeld's form: for i = n - 1 .. 1 swap place i with a place drawn from 0 .. i.
#pragma once

#include <iterator>  // ssize
#include <utility>   // swap
#include <vector>

#include <graft/base/index.hpp>
#include <graft/core/random.hpp>

namespace graft::train {

/// Puts a list into an order that is drawn, every one equally likely; each stream of `random` gives another.
template <class T>
void shuffle(std::vector<T>& list, Random random) {
  for (Index i = std::ssize(list) - 1; i > 0; --i) {
    const auto drawn = random.below(static_cast<std::uint64_t>(i), static_cast<std::uint64_t>(i) + 1);
    std::swap(list[static_cast<std::size_t>(i)], list[static_cast<std::size_t>(drawn)]);
  }
}

/// 0 .. count - 1, shuffled.
[[nodiscard]] inline std::vector<Index> epoch_order(Index count, Random random) {
  std::vector<Index> order;
  for (Index i = 0; i < count; ++i) {
    order.push_back(i);
  }
  shuffle(order, random);
  return order;
}

}  // namespace graft::train
