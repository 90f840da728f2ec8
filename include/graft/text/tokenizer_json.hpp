// SPDX-License-Identifier: Apache-2.0
// tokenizer_json: a Tokenizer from Hugging Face's tokenizer.json (and tokenizer_config.json beside it).
// What would change the ids and is not understood is an error that names its key; truncation and padding never apply.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>  // move, pair
#include <vector>

#include <graft/base/require.hpp>
#include <graft/io/json.hpp>
#include <graft/text/backtracking.hpp>
#include <graft/text/json_keys.hpp>
#include <graft/text/merge_rules.hpp>
#include <graft/text/pattern.hpp>
#include <graft/text/tokenizer.hpp>
#include <graft/text/tokenizer_pipeline_json.hpp>

namespace graft::text {

namespace detail {

/// Reads one tokenizer.json; a member for each of its parts.
class TokenizerJson {
 public:
  TokenizerJson(const io::Json& root, const io::Json* config, const std::string& where, PatternCompiler compile)
      : root_(root), config_(config), at_(where), pipeline_(where, compile) {}

  Tokenizer read() {
    at_.known(root_, "tokenizer",
              {"version", "truncation", "padding", "added_tokens", "normalizer", "pre_tokenizer", "post_processor",
               "decoder", "model"});
    const io::Json& model = at_.member(root_, "model");
    const auto type = io::json_get_or<std::string>(model, "type", "BPE", at_.where());
    if (type != "BPE") {
      at_.refuse("model.type", type, "BPE");
    }
    at_.known(model, "model",
              {"type", "dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix", "fuse_unk",
               "byte_fallback", "ignore_merges", "vocab", "merges"});
    for (const char* key : {"dropout", "continuing_subword_prefix", "end_of_word_suffix"}) {
      const auto found = model.find(key);
      if (found != model.end() && !found->is_null() && *found != "" && *found != 0.0) {
        at_.refuse(std::string("model.") + key, found->dump(), "null");
      }
    }
    TokenizerParts parts;
    parts.added = added_tokens();
    Vocabulary vocabulary = read_vocabulary(model, parts.added);
    pipeline_.normalizer(at_.optional_member(root_, "normalizer"), parts.normalizer);
    pipeline_.post_processor(at_.optional_member(root_, "post_processor"), vocabulary, parts);
    configuration(vocabulary, parts);
    const io::Json decoder = at_.optional_member(root_, "decoder");
    const auto decoder_type = decoder.is_object() ? at_.type_of(decoder, "decoder") : std::string("none");
    if (decoder_type == "ByteLevel") {
      return {byte_level(model, std::move(vocabulary)), std::move(parts)};
    }
    if (decoder_type == "Sequence") {
      return {sentence_piece(model, decoder, std::move(vocabulary)), std::move(parts)};
    }
    at_.refuse("decoder.type", decoder_type, "ByteLevel or Sequence");
  }

 private:
  AddedToken added_token(const io::Json& json, std::int32_t id) const {
    AddedToken token;
    token.content = at_.string_of(json, "content");
    token.id = id;
    token.special = at_.flag(json, "special", false);
    token.strips_left = at_.flag(json, "lstrip", false);
    token.strips_right = at_.flag(json, "rstrip", false);
    token.normalized = at_.flag(json, "normalized", !token.special);
    if (at_.flag(json, "single_word", false)) {
      at_.refuse("added_tokens.single_word", "true for " + token.content, "false");
    }
    if (token.content.empty()) {
      at_.refuse("added_tokens.content", "empty", "a spelling");
    }
    return token;
  }

  /// The added tokens of tokenizer.json, then those that only tokenizer_config.json knows.
  std::vector<AddedToken> added_tokens() const {
    std::vector<AddedToken> tokens;
    const io::Json listed = at_.optional_member(root_, "added_tokens");
    if (!listed.is_null() && !listed.is_array()) {
      at_.refuse("added_tokens", listed.dump(), "a list");
    }
    for (const io::Json& json : listed) {
      at_.known(json, "added_tokens", {"id", "content", "single_word", "lstrip", "rstrip", "normalized", "special"});
      tokens.push_back(added_token(json, io::json_get<std::int32_t>(json, "id", at_.where())));
    }
    const io::Json more = config_ == nullptr ? io::Json() : at_.optional_member(*config_, "added_tokens_decoder");
    const std::size_t known = tokens.size();
    for (const auto& [key, json] : more.items()) {
      if (key.empty() || key.size() > 9 || key.find_first_not_of("0123456789") != std::string::npos) {
        at_.refuse("added_tokens_decoder", key, "ids as keys");
      }
      const AddedToken token = added_token(json, static_cast<std::int32_t>(std::stol(key)));
      bool is_new = true;
      for (std::size_t i = 0; i < known; ++i) {
        is_new = is_new && tokens[i].content != token.content;
      }
      if (is_new) {
        tokens.push_back(token);
      }
    }
    return tokens;
  }

  Vocabulary read_vocabulary(const io::Json& model, const std::vector<AddedToken>& added) const {
    const io::Json& vocab = at_.member(model, "vocab");
    if (!vocab.is_object() || vocab.empty()) {
      at_.refuse("model.vocab", vocab.dump(), "an object of token ids");
    }
    std::vector<std::pair<std::string, std::int32_t>> tokens;
    tokens.reserve(vocab.size() + added.size());
    for (const auto& [spelling, id] : vocab.items()) {
      if (!id.is_number_integer()) {
        at_.refuse("model.vocab." + spelling, id.dump(), "an integer");
      }
      tokens.emplace_back(spelling, id.get<std::int32_t>());
    }
    for (const AddedToken& token : added) {
      const auto known = vocab.find(token.content);
      if (known == vocab.end() || *known != token.id) {  // a contradiction is the vocabulary's to report
        tokens.emplace_back(token.content, token.id);
      }
    }
    return {tokens, at_.where()};
  }

  /// Both spellings: "a b" and ["a", "b"].
  MergeList merges(const io::Json& model) const {
    const io::Json& listed = at_.member(model, "merges");
    if (!listed.is_array()) {
      at_.refuse("model.merges", listed.dump(), "a list");
    }
    MergeList list;
    list.reserve(listed.size());
    for (const io::Json& json : listed) {
      if (json.is_array() && json.size() == 2 && json[0].is_string() && json[1].is_string()) {
        list.emplace_back(json[0].get<std::string>(), json[1].get<std::string>());
        continue;
      }
      const auto text = json.is_string() ? json.get<std::string>() : std::string();
      const std::size_t space = text.find(' ');
      if (space == std::string::npos || text.find(' ', space + 1) != std::string::npos) {
        at_.refuse("model.merges", json.dump(), "\"left right\" or [\"left\", \"right\"]");
      }
      list.emplace_back(text.substr(0, space), text.substr(space + 1));
    }
    return list;
  }

  ByteLevelBpe byte_level(const io::Json& model, Vocabulary vocabulary) const {
    if (at_.flag(model, "byte_fallback", false)) {
      at_.refuse("model.byte_fallback", "true", "false beside a ByteLevel decoder");
    }
    std::vector<SplitStep> steps;
    if (!pipeline_.pre_tokenizer(at_.optional_member(root_, "pre_tokenizer"), steps)) {
      at_.refuse("pre_tokenizer", "without ByteLevel", "one that ends in ByteLevel");
    }
    return {std::move(vocabulary), merges(model), PreTokenizer(std::move(steps)),
            at_.flag(model, "ignore_merges", false), at_.where()};
  }

  SentencePieceBpe sentence_piece(const io::Json& model, const io::Json& decoder, Vocabulary vocabulary) const {
    SentencePieceBpe::Options options;
    options.strip = pipeline_.decoder_strip(decoder);
    options.byte_fallback = at_.flag(model, "byte_fallback", false);
    options.fuse_unknown = at_.flag(model, "fuse_unk", false);
    if (at_.flag(model, "ignore_merges", false)) {
      at_.refuse("model.ignore_merges", "true", "false beside a ByteFallback decoder");
    }
    const auto unknown = io::json_get_or<std::string>(model, "unk_token", "", at_.where());
    options.unknown = unknown.empty() ? -1 : vocabulary.find(unknown);
    const io::Json pre = at_.optional_member(root_, "pre_tokenizer");
    if (!pre.is_null()) {
      options.metaspace = pipeline_.metaspace(pre);
    }
    Merges table = merges_by_rank(vocabulary, merges(model), at_.where());
    return {std::move(vocabulary), std::move(table), options};
  }

  /// What tokenizer_config.json adds: the names of BOS and EOS, and the chat template.
  void configuration(const Vocabulary& vocabulary, TokenizerParts& parts) const {
    if (config_ == nullptr) {
      return;
    }
    const auto token = [&](const char* key) {
      const io::Json json = at_.optional_member(*config_, key);
      if (json.is_null()) {
        return std::int32_t{-1};
      }
      const auto spelling = json.is_object() ? at_.string_of(json, "content") : at_.string_of(*config_, key);
      const std::int32_t id = vocabulary.find(spelling);
      if (id < 0) {
        fail("text.321", std::string("\"") + key + "\" is \"" + spelling + "\", which is no token of the vocabulary",
             at_.where());
      }
      return id;
    };
    parts.bos = token("bos_token");
    parts.eos = token("eos_token");
    const io::Json chat = at_.optional_member(*config_, "chat_template");
    if (chat.is_string()) {
      parts.chat_template = chat.get<std::string>();
    } else if (chat.is_array()) {  // several, by name
      for (const io::Json& named : chat) {
        if (at_.string_of(named, "name") == "default") {
          parts.chat_template = at_.string_of(named, "template");
        }
      }
    } else if (!chat.is_null()) {
      at_.refuse("chat_template", chat.dump(), "a string or a list");
    }
  }

  const io::Json& root_;
  const io::Json* config_;
  JsonKeys at_;
  TokenizerPipelineJson pipeline_;
};

}  // namespace detail

/// A tokenizer from tokenizer.json; `tokenizer_config` may be null. `where` names the file in errors.
[[nodiscard]] inline Tokenizer from_tokenizer_json(const io::Json& tokenizer, const io::Json* tokenizer_config,
                                                   const std::string& where,
                                                   PatternCompiler compile = &compile_builtin) {
  return detail::TokenizerJson(tokenizer, tokenizer_config, where, compile).read();
}

}  // namespace graft::text
