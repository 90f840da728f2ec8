// SPDX-License-Identifier: Apache-2.0
// PreTokenizer: cuts a section of text into the words that byte-pair encoding may not merge across.
// Each step cuts the pieces of the step before it; malformed bytes are pieces of their own, which no pattern sees.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <utility>  // move
#include <vector>

#include <graft/text/pattern.hpp>
#include <graft/text/utf8.hpp>

namespace graft::text {

/// GPT-2's pattern, which the ByteLevel pre-tokenizer applies by itself.
inline constexpr std::string_view gpt2_pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

/// Llama-3's pattern.
inline constexpr std::string_view llama3_pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*)"
    R"(|\s*[\r\n]+|\s+(?!\S)|\s+)";

/// Qwen2's pattern: Llama-3's with single digits.
inline constexpr std::string_view qwen2_pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

/// What becomes of a match: a piece of its own, nothing, or a part of the piece before or after it.
enum class SplitBehavior : std::uint8_t { isolated, removed, merged_with_previous, merged_with_next };

/// One step: a space before a piece that has none, then a cut at a pattern's matches (inverted: at what lies between).
struct SplitStep {
  bool prefix_space = false;                         ///< goes before a piece that opens with none
  std::optional<Pattern> pattern;                    ///< none: no cut
  SplitBehavior behavior = SplitBehavior::isolated;  ///< of what is cut at
  bool inverted = false;                             ///< cut at what lies between
};

/// The steps of one model; without any, a section is one word.
class PreTokenizer {
 public:
  /// The pieces of one section; `made` owns those that are not part of the text itself.
  struct Pieces {
    std::vector<std::string_view> words;  ///< in the order of the text
    std::deque<std::string> made;         ///< a deque: words point into it
  };

  PreTokenizer() = default;
  /// Each step cuts the pieces of the one before.
  explicit PreTokenizer(std::vector<SplitStep> steps) : steps_(std::move(steps)) {}

  /// Cuts a section; the pieces refer to it.
  void split(std::string_view section, Pieces& pieces) const {
    pieces.words.assign(1, section);
    std::vector<std::string_view> before;
    std::vector<Span> matches;
    for (const SplitStep& step : steps_) {
      before.swap(pieces.words);
      pieces.words.clear();
      for (std::string_view piece : before) {
        if (step.prefix_space && (piece.empty() || piece[0] != ' ')) {
          piece = pieces.made.emplace_back(" " + std::string(piece));
        }
        if (step.pattern) {
          cut(step, piece, matches, pieces.words);
        } else {
          pieces.words.push_back(piece);
        }
      }
    }
  }

 private:
  static void cut(const SplitStep& step, std::string_view piece, std::vector<Span>& matches,
                  std::vector<std::string_view>& words) {
    for (std::size_t at = 0; at < piece.size();) {
      const std::size_t end = valid_until(piece, at);
      if (end > at) {
        cut_valid(step, piece.substr(at, end - at), matches, words);
      }
      at = end;
      while (at < piece.size() && !decode_utf8(piece, at).valid) {
        at += decode_utf8(piece, at).size;
      }
      if (at > end) {
        words.push_back(piece.substr(end, at - end));
      }
    }
  }

  static void cut_valid(const SplitStep& step, std::string_view piece, std::vector<Span>& matches,
                        std::vector<std::string_view>& words) {
    matches.clear();
    step.pattern->find_all(piece, matches);
    if (step.inverted) {
      invert(matches, piece.size());
    }
    const auto put = [&](std::size_t begin, std::size_t end) {
      if (end > begin) {
        words.push_back(piece.substr(begin, end - begin));
      }
    };
    std::size_t at = 0;
    for (const Span& match : matches) {
      switch (step.behavior) {
        case SplitBehavior::isolated:
          put(at, match.begin);
          put(match.begin, match.end);
          at = match.end;
          break;
        case SplitBehavior::removed:
          put(at, match.begin);
          at = match.end;
          break;
        case SplitBehavior::merged_with_previous:
          put(at, match.end);
          at = match.end;
          break;
        case SplitBehavior::merged_with_next:
          put(at, match.begin);
          at = match.begin;
          break;
      }
    }
    put(at, piece.size());
  }

  static void invert(std::vector<Span>& matches, std::size_t size) {
    std::vector<Span> between;
    std::size_t at = 0;
    for (const Span& match : matches) {
      if (match.begin > at) {
        between.push_back({at, match.begin});
      }
      at = match.end;
    }
    if (size > at) {
      between.push_back({at, size});
    }
    matches.swap(between);
  }

  std::vector<SplitStep> steps_;
};

}  // namespace graft::text
