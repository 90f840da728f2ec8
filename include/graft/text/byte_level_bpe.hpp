// SPDX-License-Identifier: Apache-2.0
// ByteLevelBpe: byte-pair encoding over bytes (GPT-2, Llama-3, Qwen2, SmolLM); any text has ids and comes back exactly.
// A token is spelled with a printable character a byte: printable Latin-1 stands for itself, the rest for U+0100.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>  // move
#include <vector>

#include <graft/base/require.hpp>
#include <graft/text/merge_rules.hpp>
#include <graft/text/merges.hpp>
#include <graft/text/pre_tokenizer.hpp>
#include <graft/text/utf8.hpp>
#include <graft/text/vocabulary.hpp>
#include <graft/text/word_memory.hpp>

namespace graft::text {

/// The character that spells each byte (GPT-2's bytes_to_unicode).
[[nodiscard]] inline const std::array<char32_t, 256>& byte_spellings() {
  static const std::array<char32_t, 256> table = [] {
    std::array<char32_t, 256> spellings{};
    char32_t next = 0x100;
    for (char32_t byte = 0; byte < 256; ++byte) {
      const bool printable = (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
      spellings[byte] = printable ? byte : next++;
    }
    return spellings;
  }();
  return table;
}

/// The spelling of some bytes.
[[nodiscard]] inline std::string spell_bytes(std::string_view bytes) {
  std::string spelling;
  for (const char byte : bytes) {
    append_utf8(spelling, byte_spellings()[static_cast<unsigned char>(byte)]);
  }
  return spelling;
}

/// The bytes of a spelling; a spelling with a character that spells no byte stands for itself.
[[nodiscard]] inline std::string unspell_bytes(std::string_view spelling) {
  static const std::array<std::int16_t, 0x144> bytes = [] {
    std::array<std::int16_t, 0x144> inverse;
    inverse.fill(-1);
    for (std::size_t byte = 0; byte < 256; ++byte) {
      inverse[byte_spellings()[byte]] = static_cast<std::int16_t>(byte);
    }
    return inverse;
  }();
  std::string out;
  for (std::size_t at = 0; at < spelling.size();) {
    const CodePoint point = decode_utf8(spelling, at);
    if (!point.valid || point.value >= bytes.size() || bytes[point.value] < 0) {
      return std::string(spelling);
    }
    out.push_back(static_cast<char>(bytes[point.value]));
    at += point.size;
  }
  return out;
}

/// Vocabulary, merges and pre-tokenizer of one model.
class ByteLevelBpe {
 public:
  /// `merges` are pairs of spellings in rank order; `whole_words` looks a word up before merging it (ignore_merges).
  ByteLevelBpe(Vocabulary vocabulary, const MergeList& merges, PreTokenizer pre_tokenizer, bool whole_words,
               const std::string& where)
      : vocabulary_(std::move(vocabulary)),
        merges_(merges_by_rank(vocabulary_, merges, where)),
        pre_tokenizer_(std::move(pre_tokenizer)),
        whole_words_(whole_words) {
    for (std::size_t byte = 0; byte < 256; ++byte) {
      byte_ids_[byte] = vocabulary_.find(spell_bytes(std::string(1, static_cast<char>(byte))));
    }
  }

  [[nodiscard]] const Vocabulary& vocabulary() const { return vocabulary_; }  ///< of spellings

  /// Appends the ids of a section of text that holds no added token.
  void encode(std::string_view section, std::vector<std::int32_t>& ids) const {
    PreTokenizer::Pieces pieces;
    pre_tokenizer_.split(section, pieces);
    std::optional<WordMemory> memory;
    if (section.size() > 2048) {
      memory.emplace();
    }
    for (const std::string_view word : pieces.words) {
      if (memory && memory->recall(word, ids)) {
        continue;
      }
      const std::size_t begin = ids.size();
      encode_word(word, ids);
      if (memory) {
        memory->remember(word, begin, ids.size());
      }
    }
  }

  /// The bytes that a token stands for.
  [[nodiscard]] std::string bytes(std::string_view spelling) const { return unspell_bytes(spelling); }

 private:
  void encode_word(std::string_view word, std::vector<std::int32_t>& ids) const {
    if (whole_words_) {
      if (const std::int32_t id = vocabulary_.find(spell_bytes(word)); id >= 0) {
        ids.push_back(id);
        return;
      }
    }
    const std::size_t begin = ids.size();
    for (const char c : word) {
      const auto byte = static_cast<unsigned char>(c);
      if (byte_ids_[byte] < 0) {
        fail("text.312", "the vocabulary has no token for the byte " + std::to_string(byte) + " of the text");
      }
      ids.push_back(byte_ids_[byte]);
    }
    merges_.apply(ids, begin);
  }

  Vocabulary vocabulary_;
  Merges merges_;
  PreTokenizer pre_tokenizer_;
  bool whole_words_;
  std::array<std::int32_t, 256> byte_ids_{};
};

}  // namespace graft::text
