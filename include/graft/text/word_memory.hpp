// SPDX-License-Identifier: Apache-2.0
// WordMemory: the words that one text has shown already, so that none of them is merged twice in a row of thousands.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace graft::text {

/// A small direct-mapped memory of words that one text has shown already: where their ids stand in the output.
class WordMemory {
 public:
  /// Copies the ids of a word seen before to the end of `ids`, or says that it is new.
  bool recall(std::string_view word, std::vector<std::int32_t>& ids) const {
    const Seen& seen = table_[slot(word)];
    if (seen.word != word) {
      return false;
    }
    for (std::size_t i = 0; i < seen.count; ++i) {
      ids.push_back(ids[seen.begin + i]);
    }
    return true;
  }

  /// Remembers that the ids of `word` are those from `begin` on; the bytes of the word must outlive this.
  void remember(std::string_view word, std::size_t begin, std::size_t end) {
    table_[slot(word)] = {word, begin, end - begin};
  }

 private:
  struct Seen {
    std::string_view word;
    std::size_t begin = 0;
    std::size_t count = 0;
  };

  [[nodiscard]] std::size_t slot(std::string_view word) const {
    return std::hash<std::string_view>{}(word) & (table_.size() - 1);
  }

  std::vector<Seen> table_ = std::vector<Seen>(4096);
};

}  // namespace graft::text
