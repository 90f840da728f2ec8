// SPDX-License-Identifier: Apache-2.0
// AddedTokens: tokens that stand in a text as they are, found before all else, the leftmost longest first.
#pragma once

#include <algorithm>  // max, sort
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>  // move, pair
#include <vector>

#include <graft/text/utf8.hpp>

namespace graft::text {

/// A token that a text holds as it stands, and that nothing cuts.
struct AddedToken {
  std::string content;        ///< not empty
  std::int32_t id = -1;       ///< in the vocabulary
  bool special = false;       ///< decoding may leave it out
  bool strips_left = false;   ///< takes the white space before it along
  bool strips_right = false;  ///< takes the white space behind it along
  bool normalized = false;    ///< is looked for in the normalised text
};

/// A stretch of text without added tokens (id < 0), or an added token.
struct Fragment {
  std::string_view text;  ///< part of what was cut
  std::int32_t id = -1;   ///< of the added token
};

/// A set of added tokens, found by their first bytes.
class AddedTokens {
 public:
  AddedTokens() = default;
  /// Of equal contents the first is found.
  explicit AddedTokens(std::vector<AddedToken> tokens) : tokens_(std::move(tokens)) {
    for (std::size_t i = 0; i < tokens_.size(); ++i) {
      by_first_byte_[static_cast<unsigned char>(tokens_[i].content[0])].push_back(i);
    }
    for (auto& bucket : by_first_byte_) {
      std::sort(bucket.begin(), bucket.end(), [&](std::size_t a, std::size_t b) {
        return std::pair(tokens_[b].content.size(), a) < std::pair(tokens_[a].content.size(), b);
      });
    }
  }

  /// Cuts a text into fragments, which refer to it; none of the stretches is empty.
  void split(std::string_view text, std::vector<Fragment>& fragments) const {
    std::size_t done = 0;
    for (std::size_t at = 0; at < text.size() && !tokens_.empty();) {
      const AddedToken* token = longest(text, at);
      if (token == nullptr) {
        ++at;
        continue;
      }
      const std::size_t end = at + token->content.size();
      std::size_t begin = at;
      if (token->strips_left) {
        begin = std::max(done, begin - trailing_white_space(text.substr(0, at)));
      }
      if (begin > done) {
        fragments.push_back({text.substr(done, begin - done)});
      }
      done = end + (token->strips_right ? leading_white_space(text.substr(end)) : 0);
      fragments.push_back({text.substr(begin, done - begin), token->id});
      at = done;
    }
    if (done < text.size()) {
      fragments.push_back({text.substr(done)});
    }
  }

 private:
  [[nodiscard]] const AddedToken* longest(std::string_view text, std::size_t at) const {
    for (const std::size_t i : by_first_byte_[static_cast<unsigned char>(text[at])]) {
      if (text.substr(at, tokens_[i].content.size()) == tokens_[i].content) {
        return &tokens_[i];
      }
    }
    return nullptr;
  }

  std::vector<AddedToken> tokens_;
  std::array<std::vector<std::size_t>, 256> by_first_byte_;
};

}  // namespace graft::text
