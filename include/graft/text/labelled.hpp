// SPDX-License-Identifier: Apache-2.0
// labelled: a text whose trained stretches are given in bytes becomes ids with a mark on each that is trained.
#pragma once

#include <algorithm>  // mismatch
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>  // pair
#include <vector>

#include <graft/base/index.hpp>
#include <graft/text/tokenizer.hpp>

namespace graft::text {

/// Ids, and for each whether the loss counts it.
struct Labelled {
  std::vector<std::int32_t> ids;
  std::vector<bool> trained;
};

/// Encodes the whole text once; a token that reaches into a stretch is trained, also one that begins before it.
[[nodiscard]] inline Labelled encode_labelled(const Tokenizer& tokenizer, std::string_view text,
                                              std::span<const std::pair<Index, Index>> trained, bool add_special) {
  Labelled out;
  out.ids = tokenizer.encode(text, add_special);
  out.trained.resize(out.ids.size());
  // The tokens before a byte are those that the text up to there, encoded alone, has in common with the whole.
  const auto tokens_before = [&](Index byte) {
    if (byte == static_cast<Index>(text.size())) {
      return static_cast<std::ptrdiff_t>(out.ids.size());
    }
    const auto ids = tokenizer.encode(text.substr(0, static_cast<std::size_t>(byte)), add_special);
    return std::mismatch(ids.begin(), ids.end(), out.ids.begin(), out.ids.end()).first - ids.begin();
  };
  for (const auto& [begin, end] : trained) {
    const auto first = tokens_before(begin), last = tokens_before(end);
    std::fill(out.trained.begin() + first, out.trained.begin() + std::max(first, last), true);
  }
  return out;
}

}  // namespace graft::text
