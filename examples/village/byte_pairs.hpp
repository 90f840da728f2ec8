// SPDX-License-Identifier: Apache-2.0
// train_byte_pairs: a byte-level BPE vocabulary from texts: the pair that stands most often becomes a token, again and
// again (Sennrich et al. 2016).
#pragma once

#include <cctype>  // isalpha
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>  // pair
#include <vector>

#include <graft/io/gguf_tokenizer.hpp>
#include <graft/text/byte_level_bpe.hpp>

namespace graft::village {

/// Arrays of `size` tokens at most: the 256 bytes, the merges, and `end`, which closes a text. Words are a letter run with
/// the space before it, or one other character. Of pairs that stand equally often, the one whose spelling is first goes.
[[nodiscard]] inline io::TokenizerData train_byte_pairs(const std::vector<std::string>& texts, std::size_t size,
                                                        const std::string& end) {
  io::TokenizerData data;
  data.model = "gpt2";
  data.pre = "gpt-2";
  for (int byte = 0; byte < 256; ++byte) {
    data.tokens.push_back(text::spell_bytes(std::string(1, static_cast<char>(byte))));
  }
  std::map<std::string, std::int64_t> counts;  // of words
  for (const std::string& text : texts) {
    const auto letter = [&](std::size_t i) {
      return i < text.size() && std::isalpha(static_cast<unsigned char>(text[i]));
    };
    for (std::size_t at = 0; at < text.size();) {
      std::size_t stop = at + 1;
      while ((letter(at) || (text[at] == ' ' && letter(at + 1))) && letter(stop)) {
        ++stop;
      }
      ++counts[text.substr(at, stop - at)];
      at = stop;
    }
  }
  struct Word {
    std::vector<std::string> symbols;
    std::int64_t count;
  };
  std::vector<Word> words;
  for (const auto& [word, count] : counts) {
    words.push_back({{}, count});
    for (const char c : word) {
      words.back().symbols.push_back(text::spell_bytes(std::string(1, c)));
    }
  }
  while (data.tokens.size() + 1 < size) {
    std::map<std::pair<std::string, std::string>, std::int64_t> pairs;
    for (const Word& word : words) {
      for (std::size_t i = 0; i + 1 < word.symbols.size(); ++i) {
        pairs[{word.symbols[i], word.symbols[i + 1]}] += word.count;
      }
    }
    auto best = pairs.begin();
    for (auto at = pairs.begin(); at != pairs.end(); ++at) {
      best = at->second > best->second ? at : best;
    }
    if (best == pairs.end()) {
      break;  // every word is one token
    }
    const auto& [left, right] = best->first;
    data.merges.push_back(left + " " + right);
    data.tokens.push_back(left + right);
    for (Word& word : words) {
      for (std::size_t i = 0; i + 1 < word.symbols.size(); ++i) {
        if (word.symbols[i] == left && word.symbols[i + 1] == right) {
          word.symbols[i] += right;
          word.symbols.erase(word.symbols.begin() + static_cast<std::ptrdiff_t>(i) + 1);
        }
      }
    }
  }
  data.eos = static_cast<std::int32_t>(data.tokens.size());
  data.tokens.push_back(end);
  data.types.assign(data.tokens.size(), 1);
  data.types.back() = 3;  // control
  return data;
}

}  // namespace graft::village
