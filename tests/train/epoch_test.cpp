// SPDX-License-Identifier: Apache-2.0
#include <graft/train/epoch.hpp>

#include <algorithm>
#include <map>

#include <graft/io/spilled_list.hpp>

#include "support/catch.hpp"

using namespace graft;

TEST_CASE("an epoch visits every example once, in an order that seed and stream decide") {
  for (const Index count : {Index{0}, Index{1}, Index{2}, Index{1000}}) {
    std::vector<Index> order = train::epoch_order(count, Random(7, 3));
    CHECK(order == train::epoch_order(count, Random(7, 3)));
    std::sort(order.begin(), order.end());
    REQUIRE(static_cast<Index>(order.size()) == count);
    for (Index i = 0; i < count; ++i) {
      CHECK(order[static_cast<std::size_t>(i)] == i);
    }
  }
  CHECK(train::epoch_order(1000, Random(7, 3)) != train::epoch_order(1000, Random(7, 4)));
  CHECK(train::epoch_order(1000, Random(7, 3)) != train::epoch_order(1000, Random(8, 3)));
}

TEST_CASE("a list that lies on the disk gets the order that one in memory gets") {
  constexpr Index count = 2 * io::SpilledList<std::uint32_t>::block + 100;
  io::SpilledList<std::uint32_t> list;
  for (Index i = 0; i < count; ++i) {
    list.push_back(static_cast<std::uint32_t>(i));
  }
  train::shuffle(count, Random(7, 3), [&](Index i, Index j) { list.swap(i, j); });
  const std::vector<Index> expected = train::epoch_order(count, Random(7, 3));
  const std::vector<std::uint32_t> found = list.slice(0, count);
  CHECK(std::equal(found.begin(), found.end(), expected.begin(), expected.end()));
}

TEST_CASE("all orders of four are equally likely") {
  constexpr int draws = 24000;
  std::map<std::vector<Index>, int> seen;
  for (int i = 0; i < draws; ++i) {
    ++seen[train::epoch_order(4, Random(1, static_cast<std::uint64_t>(i)))];
  }
  REQUIRE(seen.size() == 24);
  double chi_squared = 0;
  for (const auto& [order, times] : seen) {
    chi_squared += (times - 1000.0) * (times - 1000.0) / 1000.0;
  }
  CHECK(chi_squared < 49.7);  // 23 degrees of freedom: a fair shuffle exceeds it once in a thousand seeds
}
