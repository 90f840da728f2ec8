// SPDX-License-Identifier: Apache-2.0
// SentencePieceBpe: byte-pair encoding over characters; U+2581 opens a word, byte tokens <0xXX> spell the unknown
// (Llama-2, Mistral, Gemma, llama2.c; Kudo and Richardson 2018).
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
#include <graft/text/merges.hpp>
#include <graft/text/utf8.hpp>
#include <graft/text/vocabulary.hpp>
#include <graft/text/word_memory.hpp>

namespace graft::text {

/// U+2581, which SentencePiece writes for a space.
inline constexpr std::string_view word_mark = "\xE2\x96\x81";

/// A copy of `text` with every `from` replaced by `to`.
[[nodiscard]] inline std::string replace_all(std::string_view text, std::string_view from, std::string_view to) {
  std::string out;
  out.reserve(text.size());
  std::size_t at = 0;
  for (std::size_t found = text.find(from); found != std::string_view::npos; found = text.find(from, at)) {
    out.append(text, at, found - at).append(to);
    at = found + from.size();
  }
  return out.append(text, at);
}

/// The byte of a spelling <0xXX>, or nothing.
[[nodiscard]] inline std::optional<unsigned char> byte_token(std::string_view spelling) {
  if (spelling.size() != 6 || spelling.substr(0, 3) != "<0x" || spelling[5] != '>') {
    return std::nullopt;
  }
  unsigned value = 0;
  for (const char c : spelling.substr(3, 2)) {
    const bool decimal = c >= '0' && c <= '9', upper = c >= 'A' && c <= 'F', lower = c >= 'a' && c <= 'f';
    if (!decimal && !upper && !lower) {
      return std::nullopt;
    }
    value = value * 16 + static_cast<unsigned>(decimal ? c - '0' : upper ? c - 'A' + 10 : c - 'a' + 10);
  }
  return static_cast<unsigned char>(value);
}

/// Metaspace: spaces become U+2581, and one is put before a section that does not open with it.
struct Metaspace {
  /// Which sections get the mark: none, the one that opens a text, or all.
  enum class Prepend : std::uint8_t { never, first, always };
  Prepend prepend = Prepend::always;  ///< before which sections the mark goes
  bool split = false;                 ///< cut at every U+2581
};

/// Vocabulary and merges of one model, with its rules for spaces and unknown characters.
class SentencePieceBpe {
 public:
  /// Where models of the family differ.
  struct Options {
    std::optional<Metaspace> metaspace;  ///< else the normaliser has put the marks already
    bool byte_fallback = true;           ///< characters without a token are spelled in byte tokens
    std::int32_t unknown = -1;           ///< id for what cannot be spelled; without one it is an error
    bool fuse_unknown = true;            ///< neighbours become one unknown
    int strip = 1;                       ///< leading spaces that decoding drops
  };

  /// `merges` names ids of `vocabulary`.
  SentencePieceBpe(Vocabulary vocabulary, Merges merges, Options options)
      : vocabulary_(std::move(vocabulary)), merges_(std::move(merges)), options_(std::move(options)) {
    constexpr std::string_view hex = "0123456789ABCDEF";
    for (std::size_t byte = 0; byte < 256; ++byte) {
      byte_ids_[byte] = vocabulary_.find(std::string("<0x") + hex[byte / 16] + hex[byte % 16] + ">");
      character_ids_[byte] = byte < 128 ? vocabulary_.find(std::string(1, static_cast<char>(byte))) : -1;
    }
    for (std::int32_t id = 0; id < vocabulary_.size(); ++id) {
      const std::string_view piece = vocabulary_.contains(id) ? vocabulary_[id] : "";
      for (std::size_t at = piece.find(word_mark, 1); at < piece.size(); at = piece.find(word_mark, at + 1)) {
        words_apart_ = words_apart_ && piece.substr(0, at).ends_with(word_mark);
      }
    }
  }

  [[nodiscard]] const Vocabulary& vocabulary() const { return vocabulary_; }  ///< of spellings, U+2581 for a space
  [[nodiscard]] int strip() const { return options_.strip; }                  ///< leading spaces that decoding drops

  /// Appends the ids of a normalised section that holds no added token; `first` says that it opens the text.
  void encode(std::string_view section, bool first, std::vector<std::int32_t>& ids) const {
    std::string marked;
    if (options_.metaspace) {
      marked = replace_all(section, " ", word_mark);
      const auto prepend = options_.metaspace->prepend;
      if (!marked.starts_with(word_mark) &&
          (prepend == Metaspace::Prepend::always || (prepend == Metaspace::Prepend::first && first))) {
        marked.insert(0, word_mark);
      }
      section = marked;
    }
    std::optional<WordMemory> memory;
    if (section.size() > 2048) {
      memory.emplace();
    }
    while (!section.empty()) {
      const std::string_view word = section.substr(0, word_end(section));
      section.remove_prefix(word.size());
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
  [[nodiscard]] std::string bytes(std::string_view spelling) const {
    if (const auto byte = options_.byte_fallback ? byte_token(spelling) : std::nullopt) {
      return std::string(1, static_cast<char>(*byte));
    }
    return replace_all(spelling, word_mark, " ");
  }

 private:
  /// Where the next word ends. If no piece holds a mark behind another character, nothing merges across it: words
  /// may be encoded one by one.
  [[nodiscard]] std::size_t word_end(std::string_view section) const {
    const bool every = options_.metaspace && options_.metaspace->split;
    if (!every && !words_apart_) {
      return section.size();
    }
    std::size_t at = section.find(word_mark, 1);
    while (!every && at != std::string_view::npos && section.substr(0, at).ends_with(word_mark)) {
      at = section.find(word_mark, at + 1);
    }
    return std::min(at, section.size());
  }

  void encode_word(std::string_view word, std::vector<std::int32_t>& ids) const {
    const std::size_t begin = ids.size();
    bool after_unknown = false;
    for (std::size_t at = 0; at < word.size();) {
      const CodePoint point = decode_utf8(word, at);
      const std::string_view character = word.substr(at, point.size);
      at += point.size;
      const std::int32_t id = point.value < 128 ? character_ids_[point.value]
                              : point.valid     ? vocabulary_.find(character)
                                                : -1;
      if (id >= 0) {
        ids.push_back(id);
        after_unknown = false;
      } else if (spell_by_bytes(character, ids)) {
        after_unknown = false;
      } else if (options_.unknown < 0) {
        fail("text.312",
             "the vocabulary has no token for \"" + replace_malformed(character) + "\" and none for what is unknown");
      } else if (!after_unknown || !options_.fuse_unknown) {
        ids.push_back(options_.unknown);
        after_unknown = true;
      }
    }
    merges_.apply(ids, begin);
  }

  bool spell_by_bytes(std::string_view character, std::vector<std::int32_t>& ids) const {
    bool all = options_.byte_fallback;
    for (const char c : character) {
      all = all && byte_ids_[static_cast<unsigned char>(c)] >= 0;
    }
    for (std::size_t i = 0; all && i < character.size(); ++i) {
      ids.push_back(byte_ids_[static_cast<unsigned char>(character[i])]);
    }
    return all;
  }

  Vocabulary vocabulary_;
  Merges merges_;
  Options options_;
  std::array<std::int32_t, 256> byte_ids_{};
  std::array<std::int32_t, 256> character_ids_{};
  bool words_apart_ = true;
};

}  // namespace graft::text
