// SPDX-License-Identifier: Apache-2.0
// Merges: byte-pair encoding's rules; of all neighbours that may merge, those of lowest rank do, the leftmost first,
// until none may (Sennrich et al. 2016).
#pragma once

#include <algorithm>  // remove
#include <cstddef>
#include <cstdint>
#include <queue>
#include <tuple>    // tie
#include <utility>  // exchange
#include <vector>

namespace graft::text {

/// The table (left, right) -> (rank, merged), open-addressed.
class Merges {
 public:
  /// What a pair becomes, and how early.
  struct Rule {
    std::int32_t rank = none;  ///< the lowest goes first
    std::int32_t merged = -1;  ///< id of the merged token
  };

  static constexpr std::int32_t none = 0x7fffffff;  ///< the rank of a pair that does not merge

  /// Has room for `expected` rules, and grows.
  explicit Merges(std::size_t expected = 0) {
    std::size_t slots = 16;
    while (slots < 2 * expected) {
      slots *= 2;
    }
    table_.resize(slots);
  }

  /// Adds a rule, or replaces the one that the pair has.
  void add(std::int32_t left, std::int32_t right, Rule rule) {
    if (2 * (count_ + 1) > table_.size()) {
      grow();
    }
    Slot& slot = table_[find_slot(key(left, right))];
    count_ += slot.key == empty;
    slot = {key(left, right), rule};
  }

  /// The rule of a pair; its rank is `none` where there is no such rule.
  [[nodiscard]] Rule find(std::int32_t left, std::int32_t right) const {
    return table_[find_slot(key(left, right))].rule;
  }

  /// Merges the symbols from `begin` to the end of the vector in place, as far as the rules go.
  void apply(std::vector<std::int32_t>& symbols, std::size_t begin) const {
    const std::size_t count = symbols.size() - begin;
    if (count < 2) {
      return;
    }
    if (count <= 40) {  // scanning a short word beats a queue
      apply_short(symbols, begin);
    } else {
      apply_long(symbols, begin);
    }
  }

 private:
  struct Slot {
    std::uint64_t key = empty;
    Rule rule;
  };

  static constexpr std::uint64_t empty = ~std::uint64_t{0};

  static std::uint64_t key(std::int32_t left, std::int32_t right) {
    return (std::uint64_t{static_cast<std::uint32_t>(left)} << 32) | static_cast<std::uint32_t>(right);
  }

  [[nodiscard]] std::size_t find_slot(std::uint64_t wanted) const {
    const std::size_t mask = table_.size() - 1;
    std::size_t slot = static_cast<std::size_t>((wanted * 0x9E3779B97F4A7C15U) >> 20) & mask;
    while (table_[slot].key != wanted && table_[slot].key != empty) {
      slot = (slot + 1) & mask;
    }
    return slot;
  }

  void grow() {
    const std::vector<Slot> old = std::exchange(table_, std::vector<Slot>(2 * table_.size()));
    for (const Slot& slot : old) {
      if (slot.key != empty) {
        table_[find_slot(slot.key)] = slot;
      }
    }
  }

  void apply_short(std::vector<std::int32_t>& symbols, std::size_t begin) const {
    Rule rules[40];  // rules[i] is that of symbols i and i + 1
    std::int32_t* word = symbols.data() + begin;
    std::size_t count = symbols.size() - begin;
    for (std::size_t i = 0; i + 1 < count; ++i) {
      rules[i] = find(word[i], word[i + 1]);
    }
    while (count > 1) {
      std::size_t best = 0;
      for (std::size_t i = 1; i + 1 < count; ++i) {
        best = rules[i].rank < rules[best].rank ? i : best;
      }
      if (rules[best].rank == none) {
        break;
      }
      word[best] = rules[best].merged;
      --count;
      for (std::size_t i = best + 1; i < count; ++i) {
        word[i] = word[i + 1];
        rules[i - 1] = rules[i];
      }
      if (best + 1 < count) {
        rules[best] = find(word[best], word[best + 1]);
      }
      if (best > 0) {
        rules[best - 1] = find(word[best - 1], word[best]);
      }
    }
    symbols.resize(begin + count);
  }

  void apply_long(std::vector<std::int32_t>& symbols, std::size_t begin) const {
    struct Candidate {
      std::int32_t rank;
      std::size_t left;
      std::int32_t merged;
      bool operator<(const Candidate& other) const {  // the queue's top is its greatest: lowest rank, then leftmost
        return std::tie(other.rank, other.left) < std::tie(rank, left);
      }
    };
    const std::size_t count = symbols.size() - begin;
    std::int32_t* word = symbols.data() + begin;
    std::vector<std::size_t> next(count), last(count);  // the neighbours that are left; count and 0 stand for none
    std::priority_queue<Candidate> queue;
    const auto offer = [&](std::size_t left, std::size_t right) {
      const Rule rule = find(word[left], word[right]);
      if (rule.rank != none) {
        queue.push({rule.rank, left, rule.merged});
      }
    };
    for (std::size_t i = 0; i < count; ++i) {
      next[i] = i + 1;
      last[i] = i - (i > 0);
      if (i + 1 < count) {
        offer(i, i + 1);
      }
    }
    while (!queue.empty()) {
      const Candidate best = queue.top();
      queue.pop();
      const std::size_t left = best.left;
      const std::size_t right = next[left];
      if (word[left] < 0 || right == count || find(word[left], word[right]).merged != best.merged) {
        continue;  // one of the two has merged elsewhere since
      }
      word[left] = best.merged;
      word[right] = -1;
      next[left] = next[right];
      if (next[left] < count) {
        last[next[left]] = left;
        offer(left, next[left]);
      }
      if (left > 0) {
        offer(last[left], left);
      }
    }
    symbols.erase(std::remove(symbols.begin() + static_cast<std::ptrdiff_t>(begin), symbols.end(), -1), symbols.end());
  }

  std::vector<Slot> table_;
  std::size_t count_ = 0;
};

}  // namespace graft::text
