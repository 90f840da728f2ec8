// SPDX-License-Identifier: Apache-2.0
// Vocabulary: token ids and their spellings, both ways; one arena of bytes and an open-addressed table of ids.
#pragma once

#include <algorithm>  // max
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>  // hash
#include <utility>      // pair
#include <vector>

#include <graft/base/require.hpp>

namespace graft::text {

/// Spellings by id and ids by spelling. An id without a spelling is a hole: it counts in size() and nothing finds it.
class Vocabulary {
 public:
  Vocabulary() = default;

  /// From (spelling, id) pairs in any order; two spellings of one id, or two ids of one spelling, are an error.
  Vocabulary(const std::vector<std::pair<std::string, std::int32_t>>& tokens, const std::string& where) {
    std::int32_t largest = -1;
    for (const auto& [spelling, id] : tokens) {
      if (id < 0 || id >= largest_vocabulary) {
        fail("text.310", "token \"" + spelling + "\" has the id " + std::to_string(id) + ", expected 0 to 2^24 - 1",
             where);
      }
      largest = std::max(largest, id);
    }
    entries_.resize(static_cast<std::size_t>(largest) + 1);
    std::size_t slots = 16;
    while (slots < 2 * tokens.size()) {
      slots *= 2;
    }
    table_.assign(slots, -1);
    for (const auto& [spelling, id] : tokens) {
      Entry& entry = entries_[static_cast<std::size_t>(id)];
      if (entry.used) {
        fail("text.310",
             "tokens \"" + std::string((*this)[id]) + "\" and \"" + spelling + "\" share the id " + std::to_string(id),
             where);
      }
      entry = {arena_.size(), spelling.size(), true};
      arena_ += spelling;
      std::int32_t& slot = table_[find_slot(spelling)];
      if (slot >= 0) {
        fail("text.310",
             "token \"" + spelling + "\" stands twice, as " + std::to_string(slot) + " and " + std::to_string(id),
             where);
      }
      slot = id;
    }
  }

  /// One more than the largest id.
  [[nodiscard]] std::int32_t size() const { return static_cast<std::int32_t>(entries_.size()); }

  /// Whether the id has a spelling.
  [[nodiscard]] bool contains(std::int32_t id) const {
    return id >= 0 && id < size() && entries_[static_cast<std::size_t>(id)].used;
  }

  /// The spelling of an id below size().
  [[nodiscard]] std::string_view operator[](std::int32_t id) const {
    const Entry& entry = entries_[static_cast<std::size_t>(id)];
    return std::string_view(arena_).substr(entry.begin, entry.size);
  }

  /// The id of a spelling, -1 where there is none.
  [[nodiscard]] std::int32_t find(std::string_view spelling) const {
    return table_.empty() ? -1 : table_[find_slot(spelling)];
  }

 private:
  struct Entry {
    std::size_t begin = 0;
    std::size_t size = 0;
    bool used = false;
  };

  static constexpr std::int32_t largest_vocabulary = 1 << 24;  // a bound for absurd files, far above any model's

  [[nodiscard]] std::size_t find_slot(std::string_view spelling) const {
    std::size_t slot = std::hash<std::string_view>{}(spelling) & (table_.size() - 1);
    while (table_[slot] >= 0 && (*this)[table_[slot]] != spelling) {
      slot = (slot + 1) & (table_.size() - 1);
    }
    return slot;
  }

  std::string arena_;
  std::vector<Entry> entries_;
  std::vector<std::int32_t> table_;
};

}  // namespace graft::text
