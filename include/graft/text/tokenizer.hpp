// SPDX-License-Identifier: Apache-2.0
// Tokenizer: text to ids and back, for every model that graft reads.
// encode: added tokens are found; the sections between them are normalised, cut and merged. decode: the way back.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>  // move
#include <variant>
#include <vector>

#include <graft/base/index.hpp>
#include <graft/base/require.hpp>
#include <graft/text/added_tokens.hpp>
#include <graft/text/byte_level_bpe.hpp>
#include <graft/text/normalizer.hpp>
#include <graft/text/sentencepiece_bpe.hpp>
#include <graft/text/utf8.hpp>
#include <graft/text/vocabulary.hpp>

namespace graft::text {

/// What a file says beside the model itself; the factories fill it.
struct TokenizerParts {
  Normalizer normalizer;             ///< of the sections between added tokens
  std::vector<AddedToken> added;     ///< their ids lie in the vocabulary
  bool finds_added = true;           ///< in texts, that is
  std::vector<std::int32_t> prefix;  ///< put before an encoding that asks for special tokens
  std::vector<std::int32_t> suffix;  ///< put behind it
  std::int32_t bos = -1;             ///< -1 = none
  std::int32_t eos = -1;             ///< -1 = none
  std::string chat_template;         ///< Jinja, as found
};

/// A model and what its file says beside it. Nothing in it changes, so any number of threads may share one.
class Tokenizer {
 public:
  using Model = std::variant<ByteLevelBpe, SentencePieceBpe>;  ///< the two families

  /// For the factories; ids of added tokens lie inside the vocabulary.
  Tokenizer(Model model, TokenizerParts parts) : model_(std::move(model)), parts_(std::move(parts)) {
    special_.resize(static_cast<std::size_t>(vocabulary().size()));
    std::vector<AddedToken> plain, normalized;
    for (AddedToken token : parts_.added) {
      special_[static_cast<std::size_t>(token.id)] = token.special;
      if (!parts_.finds_added) {
        continue;
      }
      if (token.normalized) {
        token.content = parts_.normalizer(token.content);
      }
      (token.normalized ? normalized : plain).push_back(std::move(token));
    }
    added_ = AddedTokens(std::move(plain));
    added_normalized_ = AddedTokens(std::move(normalized));
  }

  /// The ids of a text; with `add_special` those that the model wants around it, too. Any bytes are a text.
  [[nodiscard]] std::vector<std::int32_t> encode(std::string_view text, bool add_special) const {
    std::vector<std::int32_t> ids;
    if (add_special) {
      ids = parts_.prefix;
    }
    std::vector<Fragment> fragments;
    added_.split(text, fragments);
    for (const Fragment& fragment : fragments) {
      if (fragment.id >= 0) {
        ids.push_back(fragment.id);
      } else {
        encode_section(fragment.text, fragment.text.data() == text.data(), ids);
      }
    }
    if (add_special) {
      ids.insert(ids.end(), parts_.suffix.begin(), parts_.suffix.end());
    }
    return ids;
  }

  /// The text of some ids as valid UTF-8: bytes that form no character become U+FFFD, as in Hugging Face's library.
  [[nodiscard]] std::string decode(std::span<const std::int32_t> ids, bool skip_special = false) const {
    if (std::holds_alternative<ByteLevelBpe>(model_)) {
      return replace_malformed(decode_bytes(ids, skip_special));
    }
    std::string text, run;  // of byte tokens: all of the run is text, or every byte of it a replacement
    const auto flush = [&] {
      if (valid_until(run, 0) == run.size()) {
        text += run;
      } else {
        for (std::size_t i = 0; i < run.size(); ++i) {
          text += "\xEF\xBF\xBD";
        }
      }
      run.clear();
    };
    for (const std::int32_t id : ids) {
      if (skip_special && is_special(id)) {
        continue;
      }
      if (byte_token(token(id))) {
        run += bytes(id);
      } else {
        flush();
        text += bytes(id);
      }
    }
    flush();
    return stripped(std::move(text));
  }

  /// The exact bytes of some ids, malformed or not.
  [[nodiscard]] std::string decode_bytes(std::span<const std::int32_t> ids, bool skip_special = false) const {
    std::string out;
    for (const std::int32_t id : ids) {
      if (!skip_special || !is_special(id)) {
        out += bytes(id);
      }
    }
    return stripped(std::move(out));
  }

  /// The bytes of one token.
  [[nodiscard]] std::string bytes(std::int32_t id) const {
    const std::string_view spelling = token(id);
    return std::visit([&](const auto& model) { return model.bytes(spelling); }, model_);
  }

  /// The spelling of a token, as its file has it; an id without one is an error.
  [[nodiscard]] std::string_view token(std::int32_t id) const {
    if (!vocabulary().contains(id)) {
      fail("text.313", "no token has the id " + std::to_string(id) + "; the vocabulary ends at " +
                           std::to_string(vocabulary().size() - 1));
    }
    return vocabulary()[id];
  }

  /// The id of a spelling.
  [[nodiscard]] std::optional<std::int32_t> id(std::string_view token) const {
    const std::int32_t found = vocabulary().find(token);
    return found < 0 ? std::nullopt : std::optional(found);
  }

  /// Whether decoding leaves the token out where it skips special ones.
  [[nodiscard]] bool is_special(std::int32_t id) const {
    return vocabulary().contains(id) && special_[static_cast<std::size_t>(id)];
  }
  /// Every spelling and its id.
  [[nodiscard]] const Vocabulary& vocabulary() const {
    return std::visit([](const auto& model) -> const Vocabulary& { return model.vocabulary(); }, model_);
  }
  [[nodiscard]] Index vocab_size() const { return vocabulary().size(); }  ///< one more than the largest id
  [[nodiscard]] std::optional<std::int32_t> bos() const { return optional(parts_.bos); }  ///< if it has one
  [[nodiscard]] std::optional<std::int32_t> eos() const { return optional(parts_.eos); }  ///< if it has one
  /// The checkpoint's own chat template (Jinja), empty where it has none.
  [[nodiscard]] const std::string& chat_template() const { return parts_.chat_template; }
  /// How many spaces decoding drops at the start of a text.
  [[nodiscard]] int strip() const {
    const auto* pieces = std::get_if<SentencePieceBpe>(&model_);
    return pieces == nullptr ? 0 : pieces->strip();
  }

 private:
  static std::optional<std::int32_t> optional(std::int32_t id) { return id < 0 ? std::nullopt : std::optional(id); }

  void encode_section(std::string_view section, bool first, std::vector<std::int32_t>& ids) const {
    const std::string normal = parts_.normalizer.empty() ? std::string() : parts_.normalizer(section);
    std::vector<Fragment> fragments;
    added_normalized_.split(parts_.normalizer.empty() ? section : normal, fragments);
    for (const Fragment& fragment : fragments) {
      if (fragment.id >= 0) {
        ids.push_back(fragment.id);
      } else if (const auto* byte_level = std::get_if<ByteLevelBpe>(&model_)) {
        byte_level->encode(fragment.text, ids);
      } else {
        std::get<SentencePieceBpe>(model_).encode(fragment.text, first && &fragment == fragments.data(), ids);
      }
    }
  }

  [[nodiscard]] std::string stripped(std::string text) const {
    std::size_t spaces = 0;
    while (spaces < text.size() && spaces < static_cast<std::size_t>(strip()) && text[spaces] == ' ') {
      ++spaces;
    }
    return text.erase(0, spaces);
  }

  Model model_;
  TokenizerParts parts_;
  AddedTokens added_;
  AddedTokens added_normalized_;
  std::vector<bool> special_;
};

}  // namespace graft::text
