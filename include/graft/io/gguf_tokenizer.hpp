// SPDX-License-Identifier: Apache-2.0
// TokenizerData: the tokenizer that a GGUF file carries, as plain arrays.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <graft/base/require.hpp>
#include <graft/io/gguf.hpp>

namespace graft::io {

/// The tokenizer.ggml.* keys; ids are -1 where the file is silent.
struct TokenizerData {
  std::string model;                ///< "gpt2": byte-level BPE; "llama": SentencePiece BPE
  std::string pre;                  ///< the name of the pre-tokenizer: "smollm", "llama-bpe", "qwen2"
  std::vector<std::string> tokens;  ///< spelling of each id
  std::vector<float> scores;        ///< SentencePiece: the higher, the earlier a piece is made
  std::vector<std::int32_t> types;  ///< 1 normal, 2 unknown, 3 control, 4 user defined, 5 unused, 6 byte
  std::vector<std::string> merges;  ///< "left right", most frequent first
  std::int32_t bos = -1;            ///< opens a text
  std::int32_t eos = -1;            ///< ends a text
  std::int32_t eot = -1;            ///< ends a turn, where that is another token than eos
  std::int32_t pad = -1;            ///< fills up batches
  std::int32_t unk = -1;            ///< stands for what has no token
  bool add_bos = false;             ///< an encoding opens with bos
  bool add_eos = false;             ///< an encoding ends with eos
  bool add_space_prefix = true;     ///< SentencePiece: a space goes before the text
  std::string chat_template;        ///< Jinja, or empty
};

/// Whether tokenizer.ggml.pre names Llama-3's pre-tokenizer.
[[nodiscard]] inline bool is_llama3(std::string_view pre) {
  return pre == "llama-bpe" || pre == "llama3" || pre == "llama-v3";
}

/// Reads it; per-token lists of another length than the tokens, and ids outside them, are io.236.
[[nodiscard]] inline TokenizerData read_tokenizer(const Gguf& gguf) {
  using Texts = std::vector<std::string_view>;
  const std::string prefix = "tokenizer.ggml.";
  TokenizerData data;
  data.model = gguf.at<std::string_view>(prefix + "model");
  data.pre = gguf.get<std::string_view>(prefix + "pre").value_or("");
  const auto tokens = gguf.at<Texts>(prefix + "tokens");
  data.tokens.assign(tokens.begin(), tokens.end());
  const auto merges = gguf.get<Texts>(prefix + "merges").value_or(Texts());
  data.merges.assign(merges.begin(), merges.end());
  for (const double score : gguf.get<std::vector<double>>(prefix + "scores").value_or(std::vector<double>())) {
    data.scores.push_back(static_cast<float>(score));
  }
  for (const auto type :
       gguf.get<std::vector<std::int64_t>>(prefix + "token_type").value_or(std::vector<std::int64_t>())) {
    data.types.push_back(static_cast<std::int32_t>(type));
  }
  const auto check_length = [&](const char* name, std::size_t length) {
    if (length != 0 && length != data.tokens.size()) {
      fail("io.236",
           "metadata key \"" + prefix + name + "\" has " + std::to_string(length) +
               " entries, expected one for each of the " + std::to_string(data.tokens.size()) + " tokens",
           gguf.path());
    }
  };
  check_length("scores", data.scores.size());
  check_length("token_type", data.types.size());
  const auto id = [&](const std::string& key) {
    const auto value = gguf.get<std::int64_t>(prefix + key).value_or(-1);
    if (value < -1 || value >= static_cast<std::int64_t>(data.tokens.size())) {
      fail("io.236",
           "metadata key \"" + prefix + key + "\" is " + std::to_string(value) + ", expected the id of one of the " +
               std::to_string(data.tokens.size()) + " tokens",
           gguf.path());
    }
    return static_cast<std::int32_t>(value);
  };
  data.bos = id("bos_token_id");
  data.eos = id("eos_token_id");
  data.eot = id("eot_token_id");
  data.pad = id("padding_token_id");
  data.unk = id("unknown_token_id");
  // llama.cpp's defaults where the file is silent
  data.add_bos = gguf.get<bool>(prefix + "add_bos_token").value_or(data.model == "llama" || is_llama3(data.pre));
  data.add_eos = gguf.get<bool>(prefix + "add_eos_token").value_or(false);
  data.add_space_prefix = gguf.get<bool>(prefix + "add_space_prefix").value_or(true);
  data.chat_template = gguf.get<std::string_view>("tokenizer.chat_template").value_or("");
  return data;
}

}  // namespace graft::io
