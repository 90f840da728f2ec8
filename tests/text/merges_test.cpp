// SPDX-License-Identifier: Apache-2.0
#include <graft/text/merges.hpp>

#include <random>
#include <vector>

#include "support/catch.hpp"

using graft::text::Merges;

namespace {

// The definition, word for word: the lowest rank anywhere, its leftmost place, again and again.
std::vector<std::int32_t> by_definition(const Merges& merges, std::vector<std::int32_t> word) {
  for (;;) {
    std::size_t best = word.size();
    std::int32_t rank = Merges::none;
    for (std::size_t i = 0; i + 1 < word.size(); ++i) {
      if (merges.find(word[i], word[i + 1]).rank < rank) {
        rank = merges.find(word[i], word[i + 1]).rank;
        best = i;
      }
    }
    if (best == word.size()) {
      return word;
    }
    word[best] = merges.find(word[best], word[best + 1]).merged;
    word.erase(word.begin() + static_cast<std::ptrdiff_t>(best) + 1);
  }
}

}  // namespace

TEST_CASE("short and long words merge as the definition says", "[text]") {
  std::mt19937 random(3);
  Merges merges;
  for (std::int32_t rank = 0; rank < 300; ++rank) {
    const auto symbols = static_cast<std::uint32_t>(4 + rank);
    merges.add(static_cast<std::int32_t>(random() % symbols % 40), static_cast<std::int32_t>(random() % symbols % 40),
               {rank / 2, 4 + rank});  // ranks tie, as scores do
  }
  for (const std::size_t length : {0u, 1u, 2u, 7u, 40u, 41u, 200u}) {
    for (int round = 0; round < 40; ++round) {
      std::vector<std::int32_t> word(length);
      for (auto& symbol : word) {
        symbol = static_cast<std::int32_t>(random() % 4);
      }
      std::vector<std::int32_t> symbols{77};
      symbols.insert(symbols.end(), word.begin(), word.end());
      merges.apply(symbols, 1);
      std::vector<std::int32_t> expected = by_definition(merges, word);
      expected.insert(expected.begin(), 77);
      REQUIRE(symbols == expected);
    }
  }
}

TEST_CASE("a table that grows keeps its rules, and the last rule of a pair holds", "[text]") {
  Merges merges(1);
  for (std::int32_t i = 0; i < 5000; ++i) {
    merges.add(i, i + 1, {i, 10000 + i});
  }
  merges.add(7, 8, {1, 2});
  CHECK(merges.find(7, 8).merged == 2);
  CHECK(merges.find(4999, 5000).merged == 14999);
  CHECK(merges.find(4999, 5001).rank == Merges::none);
}
