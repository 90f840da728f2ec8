// SPDX-License-Identifier: Apache-2.0
// merge_rules: where the ranks of merges come from: the order of a list of pairs, or the scores of SentencePiece.
#pragma once

#include <algorithm>  // sort, unique, lower_bound
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>  // pair
#include <vector>

#include <graft/base/require.hpp>
#include <graft/text/merges.hpp>
#include <graft/text/vocabulary.hpp>

namespace graft::text {

/// Pairs of spellings, in rank order.
using MergeList = std::vector<std::pair<std::string, std::string>>;

/// The i-th pair merges with rank i; each spelling and its join must be tokens.
[[nodiscard]] inline Merges merges_by_rank(const Vocabulary& vocabulary, const MergeList& merges,
                                           const std::string& where) {
  Merges table(merges.size());
  std::int32_t rank = 0;
  std::string joined;
  for (const auto& [left, right] : merges) {
    joined.assign(left).append(right);
    const std::int32_t a = vocabulary.find(left), b = vocabulary.find(right), both = vocabulary.find(joined);
    if (a < 0 || b < 0 || both < 0) {
      fail("text.311",
           "merge " + std::to_string(rank) + " joins \"" + left + "\" and \"" + right +
               "\", but the vocabulary lacks \"" +
               (a < 0   ? left
                : b < 0 ? right
                        : joined) +
               "\"",
           where);
    }
    table.add(a, b, {rank++, both});
  }
  return table;
}

/// Two pieces merge whose join is a usable piece; the join of highest score goes first, of equals the leftmost.
/// `scores[id]` and `usable[id]` cover the vocabulary.
[[nodiscard]] inline Merges merges_by_score(const Vocabulary& vocabulary, const std::vector<float>& scores,
                                            const std::vector<bool>& usable) {
  std::vector<float> order;
  for (std::size_t id = 0; id < scores.size(); ++id) {
    if (usable[id]) {
      order.push_back(-scores[id]);
    }
  }
  std::sort(order.begin(), order.end());
  order.erase(std::unique(order.begin(), order.end()), order.end());
  const auto usable_id = [&](std::string_view spelling) {
    const std::int32_t id = vocabulary.find(spelling);
    return id >= 0 && usable[static_cast<std::size_t>(id)] ? id : -1;
  };
  Merges table(scores.size());
  for (std::int32_t id = 0; id < vocabulary.size(); ++id) {
    if (!vocabulary.contains(id) || !usable[static_cast<std::size_t>(id)]) {
      continue;
    }
    const std::string_view piece = vocabulary[id];
    const auto rank =
        std::lower_bound(order.begin(), order.end(), -scores[static_cast<std::size_t>(id)]) - order.begin();
    for (std::size_t cut = 1; cut < piece.size(); ++cut) {
      const std::int32_t left = usable_id(piece.substr(0, cut)), right = usable_id(piece.substr(cut));
      if (left >= 0 && right >= 0) {
        table.add(left, right, {static_cast<std::int32_t>(rank), id});
      }
    }
  }
  return table;
}

}  // namespace graft::text
