// SPDX-License-Identifier: Apache-2.0
// tokenizer_arrays: a Tokenizer from the arrays of a GGUF file, or from llama2.c's tokenizer.bin.
#pragma once

#include <algorithm>  // min
#include <cmath>      // isfinite
#include <cstddef>
#include <cstdint>
#include <cstring>  // memcpy
#include <string>
#include <string_view>
#include <utility>  // move, pair
#include <vector>

#include <graft/base/require.hpp>
#include <graft/io/gguf_tokenizer.hpp>
#include <graft/text/backtracking.hpp>
#include <graft/text/merge_rules.hpp>
#include <graft/text/pattern.hpp>
#include <graft/text/tokenizer.hpp>

namespace graft::text {

/// What GGUF's tokenizer.ggml.* keys hold.
using TokenizerArrays = io::TokenizerData;

namespace detail {

enum : std::int32_t { token_normal = 1, token_unknown = 2, token_control = 3, token_user = 4, token_byte = 6 };

inline Vocabulary array_vocabulary(const std::vector<std::string>& tokens, const std::string& where) {
  if (tokens.empty()) {
    fail("text.330", "tokenizer.ggml.tokens is missing or empty", where);
  }
  std::vector<std::pair<std::string, std::int32_t>> pairs;
  pairs.reserve(tokens.size());
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    pairs.emplace_back(tokens[i], static_cast<std::int32_t>(i));
  }
  return {pairs, where};
}

inline TokenizerParts array_parts(const TokenizerArrays& arrays, const std::string& where) {
  const auto count = static_cast<std::int32_t>(arrays.tokens.size());
  const auto checked = [&](const char* key, std::int32_t id) {
    if (id < -1 || id >= count) {
      fail("text.331",
           std::string("tokenizer.ggml.") + key + " is " + std::to_string(id) + ", expected below " +
               std::to_string(count),
           where);
    }
    return id;
  };
  TokenizerParts parts;
  parts.bos = checked("bos_token_id", arrays.bos);
  parts.eos = checked("eos_token_id", arrays.eos);
  parts.chat_template = arrays.chat_template;
  if (arrays.add_bos && parts.bos >= 0) {
    parts.prefix.push_back(parts.bos);
  }
  if (arrays.add_eos && parts.eos >= 0) {
    parts.suffix.push_back(parts.eos);
  }
  if (!arrays.types.empty() && arrays.types.size() != arrays.tokens.size()) {
    fail("text.331",
         "tokenizer.ggml.token_type has " + std::to_string(arrays.types.size()) + " entries, expected " +
             std::to_string(count),
         where);
  }
  for (std::size_t i = 0; i < arrays.types.size(); ++i) {
    const std::int32_t type = arrays.types[i];
    if ((type == token_control || type == token_user || type == token_unknown) && !arrays.tokens[i].empty()) {
      parts.added.push_back({arrays.tokens[i], static_cast<std::int32_t>(i), type != token_user});
    }
  }
  return parts;
}

/// The cuts that a GGUF name stands for, with what else its family does.
struct ByteLevelFamily {
  std::vector<SplitStep> steps;
  bool whole_words = false;
  bool composes = false;
};

inline ByteLevelFamily byte_level_family(const std::string& pre, PatternCompiler compile, const std::string& where) {
  const auto cut = [&](std::string_view pattern) { return SplitStep{false, compile(pattern, where)}; };
  if (pre == "gpt-2") {
    return {{cut(gpt2_pattern)}};
  }
  if (pre == "smollm" || pre == "starcoder" || pre == "refact") {
    return {{cut("\\p{N}"), cut(gpt2_pattern)}};
  }
  if (io::is_llama3(pre)) {
    return {{cut(llama3_pattern)}, true};
  }
  if (pre == "qwen2") {
    return {{cut(qwen2_pattern)}, false, true};
  }
  fail("text.332",
       "tokenizer.ggml.pre is \"" + pre + "\", expected gpt-2, smollm, starcoder, refact, llama-bpe or qwen2", where);
}

inline Tokenizer byte_level_from_arrays(const TokenizerArrays& arrays, const std::string& where,
                                        PatternCompiler compile) {
  TokenizerParts parts = array_parts(arrays, where);
  ByteLevelFamily family = byte_level_family(arrays.pre, compile, where);
  if (family.composes) {
    parts.normalizer.compose();
  }
  if (arrays.merges.empty()) {
    fail("text.330", "tokenizer.ggml.merges is missing or empty", where);
  }
  MergeList merges;
  merges.reserve(arrays.merges.size());
  for (const std::string& merge : arrays.merges) {
    const std::size_t space = merge.find(' ');
    if (space == std::string::npos) {
      fail("text.331", "tokenizer.ggml.merges holds \"" + merge + "\", expected two spellings with a space between",
           where);
    }
    merges.emplace_back(merge.substr(0, space), merge.substr(space + 1));
  }
  return {ByteLevelBpe(array_vocabulary(arrays.tokens, where), merges, PreTokenizer(std::move(family.steps)),
                       family.whole_words, where),
          std::move(parts)};
}

/// Which pieces may come of a merge.
inline std::vector<bool> usable_pieces(const TokenizerArrays& arrays) {
  const std::size_t count = arrays.tokens.size();
  std::vector<bool> usable(count, true);
  for (std::size_t i = 0; i < count && arrays.types.size() == count; ++i) {
    const std::int32_t type = arrays.types[i];
    usable[i] = type != token_unknown && type != token_control && type != token_byte;
  }
  return usable;
}

inline Tokenizer pieces_from_arrays(const TokenizerArrays& arrays, bool finds_added, const std::string& where) {
  const std::size_t count = arrays.tokens.size();
  if (arrays.scores.size() != count) {
    fail("text.331",
         "tokenizer.ggml.scores has " + std::to_string(arrays.scores.size()) + " entries, expected " +
             std::to_string(count),
         where);
  }
  for (std::size_t i = 0; i < count; ++i) {
    if (!std::isfinite(arrays.scores[i])) {
      fail("text.331", "tokenizer.ggml.scores[" + std::to_string(i) + "] is not finite", where);
    }
  }
  SentencePieceBpe::Options options;
  options.unknown = arrays.unk;
  options.strip = arrays.add_space_prefix;
  TokenizerParts parts = array_parts(arrays, where);
  parts.finds_added = finds_added;
  if (arrays.add_space_prefix) {
    parts.normalizer.prepend(std::string(word_mark));
  }
  parts.normalizer.replace(" ", std::string(word_mark));
  Vocabulary vocabulary = array_vocabulary(arrays.tokens, where);
  Merges merges = merges_by_score(vocabulary, arrays.scores, usable_pieces(arrays));
  return {SentencePieceBpe(std::move(vocabulary), std::move(merges), options), std::move(parts)};
}

}  // namespace detail

/// A tokenizer from GGUF's arrays; `where` names the file in errors.
[[nodiscard]] inline Tokenizer from_arrays(const TokenizerArrays& arrays, const std::string& where = {},
                                           PatternCompiler compile = &compile_builtin) {
  if (arrays.model == "gpt2") {
    return detail::byte_level_from_arrays(arrays, where, compile);
  }
  if (arrays.model == "llama") {
    return detail::pieces_from_arrays(arrays, true, where);
  }
  fail("text.332", "tokenizer.ggml.model is \"" + arrays.model + "\", expected gpt2 or llama", where);
}

/// The arrays of llama2.c's tokenizer.bin: int32 longest, then `vocab` times float score, int32 length, bytes. BOS is 1,
/// EOS 2, byte tokens 3..258.
[[nodiscard]] inline TokenizerArrays llama2c_arrays(std::string_view bytes, Index vocab, const std::string& where) {
  std::size_t at = 0;
  const auto take = [&](void* to, std::size_t size) {
    if (bytes.size() - at < size) {
      fail("text.333",
           "the file ends after " + std::to_string(bytes.size()) + " bytes, inside its " + std::to_string(vocab) +
               " tokens",
           where);
    }
    std::memcpy(to, bytes.data() + at, size);
    at += size;
  };
  std::int32_t longest = 0;
  take(&longest, sizeof longest);
  TokenizerArrays arrays;
  for (Index i = 0; i < vocab; ++i) {
    float score = 0;
    std::int32_t length = 0;
    take(&score, sizeof score);
    take(&length, sizeof length);
    if (length < 0 || length > longest) {
      fail("text.333",
           "token " + std::to_string(i) + " has the length " + std::to_string(length) + ", expected 0 to " +
               std::to_string(longest),
           where);
    }
    std::string piece(std::min(static_cast<std::size_t>(length), bytes.size()), '\0');
    take(piece.data(), piece.size());
    arrays.tokens.push_back(replace_all(piece, " ", word_mark));
    arrays.scores.push_back(score);
    arrays.types.push_back(i == 0    ? detail::token_unknown
                           : i < 3   ? detail::token_control
                           : i < 259 ? detail::token_byte
                                     : detail::token_normal);
  }
  if (at != bytes.size() || vocab < 259) {
    fail("text.333",
         "expected at least 259 tokens and " + std::to_string(at) + " bytes for " + std::to_string(vocab) + ", found " +
             std::to_string(bytes.size()) + " bytes",
         where);
  }
  arrays.model = "llama";
  arrays.bos = 1;
  arrays.eos = 2;
  arrays.unk = 0;
  arrays.add_bos = true;
  return arrays;
}

/// A tokenizer from llama2.c's tokenizer.bin; added tokens are not looked for in texts, as llama2.c does not.
[[nodiscard]] inline Tokenizer from_llama2c(std::string_view bytes, Index vocab, const std::string& where) {
  return detail::pieces_from_arrays(llama2c_arrays(bytes, vocab, where), false, where);
}

}  // namespace graft::text
