// SPDX-License-Identifier: Apache-2.0
// write_tokenizer_json: GGUF's tokenizer arrays as Hugging Face's tokenizer.json and tokenizer_config.json.
#pragma once

#include <algorithm>  // sort
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <tuple>  // tie
#include <unordered_map>
#include <utility>  // move
#include <vector>

#include <graft/base/require.hpp>
#include <graft/io/json.hpp>
#include <graft/text/sentencepiece_bpe.hpp>  // word_mark
#include <graft/text/tokenizer_arrays.hpp>

namespace graft::text {

namespace detail {

[[nodiscard]] inline io::Json byte_level_json(bool cuts) {
  return {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", cuts}};
}

/// The steps that byte_level_family() runs, in Hugging Face's words.
[[nodiscard]] inline io::Json pre_tokenizer_json(const std::string& pre) {
  const auto sequence = [](io::Json first, bool cuts) {
    return io::Json{{"type", "Sequence"}, {"pretokenizers", {std::move(first), byte_level_json(cuts)}}};
  };
  const auto cut_by = [&](std::string_view pattern) {
    return sequence({{"type", "Split"}, {"pattern", {{"Regex", pattern}}}, {"behavior", "Isolated"}, {"invert", false}},
                    false);
  };
  if (pre == "gpt-2") {
    return byte_level_json(true);
  }
  if (pre == "smollm" || pre == "starcoder" || pre == "refact") {
    return sequence({{"type", "Digits"}, {"individual_digits", true}}, true);
  }
  return cut_by(io::is_llama3(pre) ? llama3_pattern : qwen2_pattern);  // no other family is left
}

/// Every cut of a usable piece into two, those of the highest score first: the order in which SentencePiece merges.
[[nodiscard]] inline io::Json merges_json(const TokenizerArrays& arrays) {
  const std::vector<bool> usable = usable_pieces(arrays);
  std::unordered_map<std::string_view, std::size_t> ids;
  for (std::size_t id = 0; id < arrays.tokens.size(); ++id) {
    if (usable[id]) {
      ids.emplace(arrays.tokens[id], id);
    }
  }
  struct Cut {
    float score;
    std::string_view left, right;
  };
  std::vector<Cut> cuts;
  for (const auto& [piece, id] : ids) {
    for (std::size_t at = 1; at < piece.size(); ++at) {
      if (ids.contains(piece.substr(0, at)) && ids.contains(piece.substr(at))) {
        cuts.push_back({arrays.scores[id], piece.substr(0, at), piece.substr(at)});
      }
    }
  }
  std::sort(cuts.begin(), cuts.end(), [](const Cut& a, const Cut& b) {
    return std::tie(b.score, a.left, a.right) < std::tie(a.score, b.left, b.right);
  });
  io::Json merges = io::Json::array();
  for (const Cut& cut : cuts) {
    merges.push_back(std::string(cut.left) + " " + std::string(cut.right));
  }
  return merges;
}

/// BOS before and EOS after a text, where the arrays say so.
[[nodiscard]] inline io::Json post_processor_json(const TokenizerArrays& arrays) {
  io::Json single = io::Json::array();
  io::Json special = io::Json::object();
  const auto put = [&](std::int32_t id) {
    const std::string& token = arrays.tokens[static_cast<std::size_t>(id)];
    single.push_back({{"SpecialToken", {{"id", token}, {"type_id", 0}}}});
    special[token] = {{"id", token}, {"ids", {id}}, {"tokens", {token}}};
  };
  if (arrays.add_bos && arrays.bos >= 0) {
    put(arrays.bos);
  }
  single.push_back({{"Sequence", {{"id", "A"}, {"type_id", 0}}}});
  if (arrays.add_eos && arrays.eos >= 0) {
    put(arrays.eos);
  }
  if (special.empty()) {
    return nullptr;
  }
  io::Json pair = single;
  pair.push_back({{"Sequence", {{"id", "B"}, {"type_id", 1}}}});
  return {{"type", "TemplateProcessing"}, {"single", single}, {"pair", std::move(pair)}, {"special_tokens", special}};
}

}  // namespace detail

/// tokenizer.json of some arrays: from_tokenizer_json of it gives the ids of from_arrays. (llama2.c looks for no added
/// tokens in texts; Hugging Face's library always does.)
[[nodiscard]] inline io::Json tokenizer_json(const TokenizerArrays& arrays, const std::string& where = {}) {
  (void)from_arrays(arrays, where);  // refuses what is no tokenizer, and families that are not known
  const bool pieces = arrays.model == "llama";
  io::Json vocab = io::Json::object();
  for (std::size_t id = 0; id < arrays.tokens.size(); ++id) {
    vocab[arrays.tokens[id]] = id;
  }
  io::Json added = io::Json::array();
  for (const AddedToken& token : detail::array_parts(arrays, where).added) {
    added.push_back({{"id", token.id},
                     {"content", token.content},
                     {"single_word", false},
                     {"lstrip", token.strips_left},
                     {"rstrip", token.strips_right},
                     {"normalized", token.normalized},
                     {"special", token.special}});
  }
  io::Json model = {{"type", "BPE"},
                    {"dropout", nullptr},
                    {"unk_token", nullptr},
                    {"continuing_subword_prefix", nullptr},
                    {"end_of_word_suffix", nullptr},
                    {"fuse_unk", pieces},
                    {"byte_fallback", pieces},
                    {"ignore_merges", !pieces && io::is_llama3(arrays.pre)},
                    {"vocab", std::move(vocab)},
                    {"merges", pieces ? detail::merges_json(arrays) : io::Json(arrays.merges)}};
  if (pieces && arrays.unk >= 0) {
    model["unk_token"] = arrays.tokens[static_cast<std::size_t>(arrays.unk)];
  }
  io::Json json = {{"version", "1.0"},
                   {"truncation", nullptr},
                   {"padding", nullptr},
                   {"added_tokens", std::move(added)},
                   {"normalizer", nullptr},
                   {"pre_tokenizer", nullptr},
                   {"post_processor", detail::post_processor_json(arrays)},
                   {"decoder", nullptr},
                   {"model", std::move(model)}};
  if (!pieces) {
    json["pre_tokenizer"] = detail::pre_tokenizer_json(arrays.pre);
    json["decoder"] = detail::byte_level_json(true);
    json["normalizer"] = arrays.pre == "qwen2" ? io::Json{{"type", "NFC"}} : io::Json();
    return json;
  }
  const auto replace = [](std::string_view from, std::string_view to) {
    return io::Json{{"type", "Replace"}, {"pattern", {{"String", from}}}, {"content", to}};
  };
  io::Json marks = io::Json::array();
  io::Json decoders = {replace(word_mark, " "), {{"type", "ByteFallback"}}, {{"type", "Fuse"}}};
  if (arrays.add_space_prefix) {
    marks.push_back({{"type", "Prepend"}, {"prepend", word_mark}});
    decoders.push_back({{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}});
  }
  marks.push_back(replace(" ", word_mark));
  json["normalizer"] = {{"type", "Sequence"}, {"normalizers", std::move(marks)}};
  json["decoder"] = {{"type", "Sequence"}, {"decoders", std::move(decoders)}};
  return json;
}

/// tokenizer_config.json of some arrays: what tokenizer.json does not say.
[[nodiscard]] inline io::Json tokenizer_config_json(const TokenizerArrays& arrays, Index context) {
  io::Json json = {{"tokenizer_class", "PreTrainedTokenizerFast"},
                   {"model_max_length", context},
                   {"clean_up_tokenization_spaces", false}};
  const auto name = [&](const char* key, std::int32_t id) {
    if (id >= 0) {
      json[key] = arrays.tokens[static_cast<std::size_t>(id)];
    }
  };
  name("bos_token", arrays.bos);
  name("eos_token", arrays.eos);
  name("pad_token", arrays.pad);
  name("unk_token", arrays.unk);
  if (!arrays.chat_template.empty()) {
    json["chat_template"] = arrays.chat_template;
  }
  return json;
}

}  // namespace graft::text
