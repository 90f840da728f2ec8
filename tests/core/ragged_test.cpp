// SPDX-License-Identifier: Apache-2.0
#include <graft/core/ragged.hpp>

#include "support/catch.hpp"

using namespace graft;

namespace {
Ragged batch(std::initializer_list<std::pair<Index, Index>> lengths_and_adapters) {
  Ragged ragged;
  for (const auto& [length, adapter] : lengths_and_adapters) {
    ragged.push(length, 0, 0, adapter);
  }
  return ragged;
}

std::vector<std::pair<Index, Index>> runs(const Ragged& ragged, Index adapter) {
  std::vector<std::pair<Index, Index>> pairs;
  for (const RowRange& run : rows_of_adapter(ragged, adapter)) {
    pairs.emplace_back(run.begin, run.rows);
  }
  return pairs;
}
using Runs = std::vector<std::pair<Index, Index>>;
}  // namespace

TEST_CASE("an empty batch has no sequences and no tokens") {
  const Ragged empty;
  CHECK(empty.sequences() == 0);
  CHECK(empty.tokens() == 0);
  CHECK(rows_of_adapter(empty, 1).empty());
}

TEST_CASE("sequences stand one after another in the rows") {
  Ragged ragged;
  ragged.push(3, 2);
  ragged.push(1, 0, 7, 0);
  CHECK(ragged.sequences() == 2);
  CHECK(ragged.tokens() == 4);
  CHECK((ragged.begin(0) == 0 && ragged.length(0) == 3));
  CHECK((ragged.begin(1) == 3 && ragged.length(1) == 1));
  CHECK(ragged.prompt == std::vector<Index>{2, 0});
  CHECK(ragged.start == std::vector<Index>{0, 7});
  CHECK(ragged.adapter == std::vector<Index>{1, 0});  // 1 unless said otherwise
}

TEST_CASE("placeholders stand before the first token of a sequence") {
  Ragged ragged;
  ragged.push(5, 2, 0, 1, 3);
  ragged.push(1, 2, 5, 1, 3);  // a later step holds none of them
  ragged.push(2, 1);
  CHECK(ragged.inserted == std::vector<Index>{3, 3, 0});
  CHECK((ragged.first_token(0) == 3 && ragged.first_token(1) == 5 && ragged.first_token(2) == 6));
  CHECK_THROWS_WITH(ragged.push(1, 0, 0, 1, -1), test::contains("shape.110: Ragged: "));
}

TEST_CASE("no subspace is listed until a sequence carries one, then one for each") {
  Ragged ragged;
  ragged.push(2, 1);
  ragged.carry(whole_subspace);
  CHECK(ragged.subspace.empty());
  ragged.push(2, 1);
  ragged.carry(0b101);
  ragged.push(2, 1);
  CHECK(ragged.subspace == std::vector<std::uint64_t>{whole_subspace, 0b101, whole_subspace});
}

TEST_CASE("a refused sequence leaves the batch as it was") {
  Ragged ragged;
  ragged.push(2, 1);
  const auto refused = test::contains("shape.110: Ragged: ");
  CHECK_THROWS_WITH(ragged.push(0, 0), refused);
  CHECK_THROWS_WITH(ragged.push(-1, 0), refused);
  CHECK_THROWS_WITH(ragged.push(1, -1), refused);
  CHECK_THROWS_WITH(ragged.push(1, 0, -1), refused);
  CHECK_THROWS_WITH(ragged.push(1, 0, 0, -1), refused);
  CHECK((ragged.tokens() == 2 && ragged.prompt.size() == 1 && ragged.adapter.size() == 1));
}

TEST_CASE("the rows of an adapter come as the longest runs, in rising order") {
  const Ragged ragged = batch({{2, 1}, {3, 1}, {1, 0}, {4, 1}, {1, 2}});
  CHECK(runs(ragged, 1) == Runs{{0, 5}, {6, 4}});
  CHECK(runs(ragged, 0) == Runs{{5, 1}});
  CHECK(runs(ragged, 2) == Runs{{10, 1}});
  CHECK(runs(ragged, 3).empty());
}

TEST_CASE("two ranges intersect in what both hold, in either order") {
  const auto check = [](RowRange a, RowRange b, Index begin, Index rows) {
    for (const RowRange both : {intersect(a, b), intersect(b, a)}) {
      CHECK(both.rows == rows);
      CHECK((rows == 0 || both.begin == begin));
    }
  };
  check({2, 5}, {4, 10}, 4, 3);
  check({2, 5}, {3, 1}, 3, 1);
  check({2, 5}, {2, 5}, 2, 5);
  check({2, 5}, {7, 3}, 0, 0);   // they touch
  check({2, 5}, {20, 3}, 0, 0);  // they are apart
}

TEST_CASE("positions count from where each sequence starts") {
  Ragged ragged;
  ragged.push(3, 2);
  ragged.push(1, 0, 7, 0);
  CHECK(positions_of(ragged) == std::vector<Index>{0, 1, 2, 7});
  CHECK(positions_of(Ragged{}, {9}).empty());
}

TEST_CASE("a run of rows is found in a rising list") {
  const std::vector<Index> list = {1, 4, 5, 9};
  const auto check = [&](RowRange run, Index begin, Index rows) {
    CHECK(where_listed(list, run).begin == begin);
    CHECK(where_listed(list, run).rows == rows);
  };
  check({0, 10}, 0, 4);
  check({4, 2}, 1, 2);
  check({2, 2}, 1, 0);
  check({9, 5}, 3, 1);
}
