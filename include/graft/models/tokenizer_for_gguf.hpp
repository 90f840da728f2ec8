// SPDX-License-Identifier: Apache-2.0
// tokenizer_for_gguf: the tokenizer of any checkpoint as GGUF's arrays, or a refusal where llama.cpp would give other ids.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <graft/base/require.hpp>
#include <graft/models/checkpoint.hpp>
#include <graft/models/load_tokenizer.hpp>
#include <graft/text/write_tokenizer_json.hpp>

namespace graft::models {

namespace detail {

/// tokenizer.json (and tokenizer_config.json, or null) as arrays: what text::tokenizer_json undoes.
class ArraysOfJson {
 public:
  ArraysOfJson(const io::Json& json, const io::Json* config, std::string where, text::PatternCompiler compile)
      : json_(json),
        config_(config),
        where_(std::move(where)),
        tokenizer_(text::from_tokenizer_json(json, config, where_, compile)) {}

  [[nodiscard]] text::TokenizerArrays read() {
    const auto& vocabulary = tokenizer_.vocabulary();
    arrays_.tokens.resize(static_cast<std::size_t>(vocabulary.size()));
    arrays_.types.assign(arrays_.tokens.size(), unused);
    for (std::int32_t id = 0; id < vocabulary.size(); ++id) {
      if (vocabulary.contains(id)) {
        set(id, vocabulary[id], text::detail::token_normal);
      }
    }
    arrays_.bos = tokenizer_.bos().value_or(-1);
    arrays_.eos = tokenizer_.eos().value_or(-1);
    arrays_.pad = named("pad_token");
    arrays_.unk = named("unk_token");
    arrays_.chat_template = tokenizer_.chat_template();
    read_ends();
    const io::Json decoder = json_.value("decoder", io::Json());
    if (decoder.value("type", "") == "ByteLevel") {
      mark_added();
      read_byte_level();
    } else {
      read_pieces();
    }
    return arrays_;
  }

 private:
  static constexpr std::int32_t unused = 5;

  [[noreturn]] void refuse(const std::string& what) const {
    fail("model.516", what + "; llama.cpp would give other ids than this tokenizer.json", where_);
  }
  void set(std::int32_t id, std::string_view spelling, std::int32_t type) {
    arrays_.tokens[static_cast<std::size_t>(id)] = spelling;
    arrays_.types[static_cast<std::size_t>(id)] = type;
  }
  [[nodiscard]] const io::Json& model() const { return json_.at("model"); }

  /// The id of a token that tokenizer_config.json names; -1 where it names none.
  [[nodiscard]] std::int32_t named(const char* key) const {
    const io::Json name = config_ == nullptr ? io::Json() : config_->value(key, io::Json());
    const io::Json spelling = name.is_object() ? name.value("content", io::Json()) : name;
    return spelling.is_string() ? tokenizer_.vocabulary().find(spelling.get<std::string>()) : -1;
  }

  /// Whether an encoding opens with bos and ends with eos; GGUF knows nothing else.
  void read_ends() {
    const auto bare = tokenizer_.encode("a", false);
    const auto whole = tokenizer_.encode("a", true);
    for (const bool opens : {false, true}) {
      for (const bool closes : {false, true}) {
        auto expected = bare;
        if (opens) {
          expected.insert(expected.begin(), arrays_.bos);
        }
        if (closes) {
          expected.push_back(arrays_.eos);
        }
        if (expected == whole && !(opens && arrays_.bos < 0) && !(closes && arrays_.eos < 0)) {
          arrays_.add_bos = opens;
          arrays_.add_eos = closes;
          return;
        }
      }
    }
    refuse("an encoding begins or ends with other tokens than bos and eos, for which GGUF has no place");
  }

  /// Added tokens are control tokens where they are special, user defined otherwise.
  void mark_added() {
    const auto mark = [&](std::int32_t id, bool special) {
      arrays_.types[static_cast<std::size_t>(id)] = special ? text::detail::token_control : text::detail::token_user;
    };
    for (const io::Json& token : json_.value("added_tokens", io::Json::array())) {
      mark(token.at("id").get<std::int32_t>(), token.value("special", false));
    }
    const io::Json more = config_ == nullptr ? io::Json() : config_->value("added_tokens_decoder", io::Json());
    for (const auto& [id, token] : more.items()) {
      mark(static_cast<std::int32_t>(std::stol(id)), token.value("special", false));
    }
  }

  [[nodiscard]] std::vector<std::string> merges() const {
    std::vector<std::string> list;
    for (const io::Json& merge : model().at("merges")) {
      list.push_back(merge.is_string() ? merge.get<std::string>()
                                       : merge.at(0).get<std::string>() + " " + merge.at(1).get<std::string>());
    }
    return list;
  }

  /// A pre-tokenizer without the options that cut nothing.
  [[nodiscard]] static io::Json cuts(io::Json step) {
    io::Json flat = io::Json::array();
    if (step.is_object() && step.contains("pretokenizers")) {
      for (const io::Json& inner : step["pretokenizers"]) {
        flat.push_back(cuts(inner)[0]);
      }
      return flat;
    }
    if (step.is_object()) {
      step.erase("trim_offsets");
      if (step.value("type", "") == "ByteLevel") {
        step["use_regex"] = step.value("use_regex", true);
        step["add_prefix_space"] = step.value("add_prefix_space", true);
      }
    }
    flat.push_back(std::move(step));
    return flat;
  }

  void read_byte_level() {
    arrays_.model = "gpt2";
    arrays_.merges = merges();
    const io::Json normalizer = json_.value("normalizer", io::Json());
    const bool whole_words = io::json_get_or<bool>(model(), "ignore_merges", false, where_);
    for (const char* pre : {"gpt-2", "smollm", "llama-bpe", "qwen2"}) {
      const bool composes = std::string_view(pre) == "qwen2";
      if (cuts(json_.value("pre_tokenizer", io::Json())) == cuts(text::detail::pre_tokenizer_json(pre)) &&
          normalizer == (composes ? io::Json{{"type", "NFC"}} : io::Json()) && whole_words == io::is_llama3(pre)) {
        arrays_.pre = pre;
        return;
      }
    }
    refuse("the pre-tokenizer is none that GGUF has a name for in graft: gpt-2, smollm, llama-bpe or qwen2");
  }

  /// Pieces merge by score there: the rank of the first merge that makes one, which must be the rank of them all.
  void read_pieces() {
    arrays_.model = "llama";
    arrays_.pre = "default";
    arrays_.add_space_prefix = opens_with_space();
    const auto unknown = io::json_get_or<std::string>(model(), "unk_token", "", where_);
    arrays_.unk = unknown.empty() ? arrays_.unk : tokenizer_.vocabulary().find(unknown);
    for (std::size_t id = 0; id < arrays_.tokens.size(); ++id) {
      if (text::byte_token(arrays_.tokens[id])) {
        arrays_.types[id] = text::detail::token_byte;
      }
    }
    mark_added();
    if (arrays_.unk >= 0) {
      arrays_.types[static_cast<std::size_t>(arrays_.unk)] = text::detail::token_unknown;
    }
    arrays_.scores.assign(arrays_.tokens.size(), 0);
    const std::vector<std::string> listed = merges();
    std::unordered_map<std::string, std::size_t> ranks;
    std::string last;
    for (std::size_t rank = 0; rank < listed.size(); ++rank) {
      const std::size_t space = listed[rank].find(' ');
      const std::string piece = listed[rank].substr(0, space) + listed[rank].substr(space + 1);
      if (piece != last && !ranks.emplace(piece, rank).second) {
        refuse("the merges that make \"" + piece + "\" do not stand together");
      }
      last = piece;
    }
    for (std::size_t id = 0; id < arrays_.tokens.size(); ++id) {
      const auto made = ranks.find(arrays_.tokens[id]);
      arrays_.scores[id] = -static_cast<float>(made == ranks.end() ? listed.size() + id : made->second);
    }
    const auto possible = text::detail::merges_json(arrays_).get<std::set<std::string>>();
    if (possible != std::set<std::string>(listed.begin(), listed.end())) {
      refuse("its merges are not all the ways to cut its pieces in two, as SentencePiece's are");
    }
  }

  [[nodiscard]] bool opens_with_space() const {
    const io::Json normalizer = json_.value("normalizer", io::Json());
    const io::Json pre = json_.value("pre_tokenizer", io::Json());
    if (pre.is_object()) {  // Metaspace: the reader has refused all else
      return pre.value("prepend_scheme", pre.value("add_prefix_space", true) ? "always" : "never") != "never";
    }
    return normalizer.dump().find("\"Prepend\"") != std::string::npos;
  }

  const io::Json& json_;
  const io::Json* config_;
  std::string where_;
  text::Tokenizer tokenizer_;
  text::TokenizerArrays arrays_;
};

}  // namespace detail

/// tokenizer.json as GGUF's arrays: llama.cpp's ids are those of from_tokenizer_json. What GGUF cannot say is model.516.
[[nodiscard]] inline text::TokenizerArrays arrays_of_json(const io::Json& tokenizer, const io::Json* tokenizer_config,
                                                          const std::string& where,
                                                          text::PatternCompiler compile = &text::compile_builtin) {
  return detail::ArraysOfJson(tokenizer, tokenizer_config, where, compile).read();
}

/// The tokenizer of a checkpoint as GGUF's arrays, one token a row of the embedding; nothing where the checkpoint has none.
[[nodiscard]] inline std::optional<text::TokenizerArrays> tokenizer_for_gguf(
    const Checkpoint& checkpoint, text::PatternCompiler compile = &text::compile_builtin) {
  std::optional<text::TokenizerArrays> arrays = checkpoint.tokenizer;
  std::string where = checkpoint.path;
  if (io::is_directory(checkpoint.path)) {
    where = io::join(checkpoint.path, "tokenizer.json");
    if (!io::exists(where)) {
      return std::nullopt;
    }
    const TokenizerFiles files = read_tokenizer_files(where);
    arrays = arrays_of_json(files.tokenizer, files.config.is_null() ? nullptr : &files.config, where, compile);
  } else if (const auto beside = arrays ? std::nullopt : llama2c_tokenizer_path(checkpoint)) {
    where = *beside;
    arrays = text::llama2c_arrays(io::read_text(where), checkpoint.config.vocab, where);
  }
  if (!arrays) {
    return std::nullopt;
  }
  const auto rows = static_cast<std::size_t>(checkpoint.config.vocab);
  if (arrays->tokens.size() > rows) {
    fail("model.516",
         "the tokenizer has " + std::to_string(arrays->tokens.size()) + " tokens, the model " + std::to_string(rows) +
             " embeddings; llama.cpp wants one for each",
         where);
  }
  arrays->types.resize(arrays->tokens.size(), text::detail::token_normal);
  for (std::size_t id = arrays->tokens.size(); id < rows; ++id) {  // rows that no text reaches
    arrays->tokens.push_back("[PAD" + std::to_string(id) + "]");
    arrays->types.push_back(5);
  }
  for (std::size_t id = 0; id < rows; ++id) {
    if (arrays->tokens[id].empty()) {  // GGUF has no holes
      arrays->tokens[id] = "[PAD" + std::to_string(id) + "]";
    }
  }
  if (!arrays->scores.empty()) {
    arrays->scores.resize(rows, -1e6f);
  }
  for (const std::int32_t id : checkpoint.config.eos) {  // what ends a turn beside what ends a text
    arrays->eos = arrays->eos < 0 ? id : arrays->eos;
    arrays->eot = arrays->eot < 0 && id != arrays->eos ? id : arrays->eot;
  }
  return arrays;
}

}  // namespace graft::models
