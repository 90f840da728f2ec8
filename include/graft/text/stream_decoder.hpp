// SPDX-License-Identifier: Apache-2.0
// StreamDecoder: ids to text as they come, no half a character; what push() and finish() return joins to the whole text.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>  // exchange

#include <graft/text/tokenizer.hpp>
#include <graft/text/utf8.hpp>

namespace graft::text {

/// Decodes one id after the other. `opens_text` says that they open a text, whose first space SentencePiece drops.
class StreamDecoder {
 public:
  /// The tokenizer outlives this.
  explicit StreamDecoder(const Tokenizer& tokenizer, bool skip_special = false, bool opens_text = true)
      : tokenizer_(&tokenizer), skip_special_(skip_special), strip_(opens_text ? tokenizer.strip() : 0) {}

  /// The text that this id completes, perhaps none.
  [[nodiscard]] std::string push(std::int32_t id) {
    if (skip_special_ && tokenizer_->is_special(id)) {
      return {};
    }
    held_ += tokenizer_->bytes(id);
    while (strip_ > 0 && !held_.empty()) {
      const bool space = held_[0] == ' ';
      held_.erase(0, space);
      strip_ = space ? strip_ - 1 : 0;
    }
    std::size_t whole = valid_until(held_, 0);
    while (whole < held_.size() && !decode_utf8(held_, whole).cut) {
      whole = valid_until(held_, whole + decode_utf8(held_, whole).size);
    }
    std::string out = replace_malformed(std::string_view(held_).substr(0, whole));
    held_.erase(0, whole);
    return out;
  }

  /// What is left at the end: a character cut short, as U+FFFD.
  [[nodiscard]] std::string finish() { return replace_malformed(std::exchange(held_, {})); }

 private:
  const Tokenizer* tokenizer_;
  bool skip_special_;
  int strip_;
  std::string held_;
};

}  // namespace graft::text
