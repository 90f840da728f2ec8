// SPDX-License-Identifier: Apache-2.0
#include <graft/text/merge_rules.hpp>

#include "support/catch.hpp"

using namespace graft::text;
using graft::test::contains;

TEST_CASE("a merge of what the vocabulary lacks is text.311 and names it", "[text]") {
  const Vocabulary vocabulary({{"a", 0}, {"b", 1}, {"ab", 2}}, "test");
  CHECK(merges_by_rank(vocabulary, {{"a", "b"}}, "f.json").find(0, 1).merged == 2);
  CHECK_THROWS_WITH(merges_by_rank(vocabulary, {{"a", "b"}, {"b", "a"}}, "f.json"),
                    contains("text.311") && contains("merge 1") && contains("\"ba\"") && contains("f.json"));
  CHECK_THROWS_WITH(merges_by_rank(vocabulary, {{"c", "b"}}, "f.json"), contains("\"c\""));
}

TEST_CASE("scores rank every way to cut a piece, and unusable pieces take no part", "[text]") {
  const Vocabulary vocabulary({{"a", 0}, {"b", 1}, {"ab", 2}, {"aab", 3}, {"aa", 4}}, "test");
  const Merges merges = merges_by_score(vocabulary, {0, 0, -1, -2, -3}, {true, true, true, true, false});
  CHECK(merges.find(0, 1).merged == 2);
  CHECK(merges.find(0, 2).merged == 3);
  CHECK(merges.find(0, 1).rank < merges.find(0, 2).rank);
  CHECK(merges.find(0, 0).rank == Merges::none);
  CHECK(merges.find(4, 1).rank == Merges::none);
}
