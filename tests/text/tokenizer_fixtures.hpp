// SPDX-License-Identifier: Apache-2.0
// tokenizer_fixtures: the golden tokenizers and their rows, read for the tests of this folder.
#pragma once

#include <cstdint>
#include <cstring>  // memcpy
#include <fstream>
#include <iterator>
#include <string>
#include <utility>  // pair
#include <vector>

#include <graft/io/json.hpp>
#include <graft/text/tokenizer_arrays.hpp>
#include <graft/text/tokenizer_json.hpp>

#include "support/catch.hpp"
#include "support/paths.hpp"

namespace graft::test {

inline std::string contents(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

inline io::Json json_file(const std::string& path) {
  return io::parse_json(contents(path), path);
}

inline std::vector<io::Json> json_lines(const std::string& path) {
  std::vector<io::Json> rows;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    rows.push_back(io::parse_json(line, path));
  }
  return rows;
}

/// The golden tokenizer of that kind.
inline text::Tokenizer golden_tokenizer(const std::string& kind,
                                        text::PatternCompiler compile = &text::compile_builtin) {
  const std::string folder = golden("tokenizer/" + kind + "/");
  const io::Json config = json_file(folder + "tokenizer_config.json");
  return text::from_tokenizer_json(json_file(folder + "tokenizer.json"), &config, folder + "tokenizer.json", compile);
}

using Ids = std::vector<std::int32_t>;

/// A golden byte-level tokenizer as GGUF would hold it, its pre-tokenizer under the name `pre`.
inline text::TokenizerArrays byte_level_arrays(const std::string& kind, const std::string& pre) {
  const io::Json json = json_file(golden("tokenizer/" + kind + "/tokenizer.json"));
  text::TokenizerArrays arrays;
  arrays.model = "gpt2";
  arrays.pre = pre;
  arrays.tokens.resize(json["model"]["vocab"].size() + json["added_tokens"].size());
  arrays.types.assign(arrays.tokens.size(), 1);
  for (const auto& [spelling, id] : json["model"]["vocab"].items()) {
    arrays.tokens[id.get<std::size_t>()] = spelling;
  }
  for (const io::Json& added : json["added_tokens"]) {
    arrays.tokens[added["id"].get<std::size_t>()] = added["content"];
    arrays.types[added["id"].get<std::size_t>()] = added["special"].get<bool>() ? 3 : 4;
  }
  for (const io::Json& merge : json["model"]["merges"]) {
    arrays.merges.push_back(merge[0].get<std::string>() + " " + merge[1].get<std::string>());
  }
  return arrays;
}

/// The pieces of the golden SentencePiece model: protobuf, field 1 of the model holds {1: piece, 2: score, 3: type}.
inline text::TokenizerArrays sentencepiece_arrays() {
  const std::string bytes = contents(golden("tokenizer/sentencepiece/tokenizer.model"));
  std::size_t at = 0;
  const auto varint = [&] {
    std::uint64_t value = 0;
    for (unsigned shift = 0;; shift += 7) {
      const auto byte = static_cast<unsigned char>(bytes.at(at++));
      value |= std::uint64_t{byte & 0x7FU} << shift;
      if (byte < 0x80) {
        return value;
      }
    }
  };
  text::TokenizerArrays arrays;
  arrays.model = "llama";
  arrays.bos = 1;
  arrays.eos = 2;
  arrays.unk = 0;
  while (at < bytes.size()) {
    const std::uint64_t field = varint();
    const std::uint64_t length = varint();
    const std::size_t end = at + length;
    if (field == (1 << 3 | 2)) {
      arrays.types.push_back(1);
      while (at < end) {
        const std::uint64_t inner = varint();
        if (inner == (1 << 3 | 2)) {
          const std::uint64_t size = varint();
          arrays.tokens.push_back(bytes.substr(at, size));
          at += size;
        } else if (inner == (2 << 3 | 5)) {
          float score = 0;
          std::memcpy(&score, bytes.data() + at, sizeof score);
          arrays.scores.push_back(score);
          at += sizeof score;
        } else {
          arrays.types.back() = static_cast<std::int32_t>(varint());
        }
      }
    }
    at = end;
  }
  return arrays;
}

/// Checks the ids of every golden text of every byte-level family, for the tokenizer that read() makes of its arrays.
template <class Read>
void check_byte_level_families(Read&& read) {
  for (const auto& [pre, kind] : {std::pair{"gpt-2", "bytelevel-gpt2"}, std::pair{"smollm", "bytelevel-smollm"},
                                  std::pair{"llama-bpe", "bytelevel-llama3"}, std::pair{"qwen2", "bytelevel-qwen2"}}) {
    const text::Tokenizer tokenizer = read(byte_level_arrays(kind, pre));
    for (const io::Json& row : json_lines(golden(std::string("tokenizer/") + kind + "/ids.jsonl"))) {
      if (row.contains("text")) {
        INFO(pre << " " << row.dump());
        CHECK(tokenizer.encode(row["text"].get<std::string>(), false) == row["ids"].get<Ids>());
      }
    }
  }
}

/// Checks the ids and the texts that sentencepiece gives.
inline void check_sentencepiece(const text::Tokenizer& tokenizer) {
  int compared = 0;
  for (const io::Json& row : json_lines(golden("tokenizer/sentencepiece/ids.jsonl"))) {
    const auto text = row.value("text", "<s>");
    if (text.find("<s>") != std::string::npos || text.find("</s>") != std::string::npos) {
      continue;  // sentencepiece does not look for control tokens in texts
    }
    INFO(text);
    CHECK(tokenizer.encode(text, false) == row["sentencepiece_ids"].get<Ids>());
    CHECK(tokenizer.decode(row["sentencepiece_ids"].get<Ids>()) == row["sentencepiece_decoded"].get<std::string>());
    ++compared;
  }
  CHECK(compared >= 70);
}

}  // namespace graft::test
