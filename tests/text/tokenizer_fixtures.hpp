// SPDX-License-Identifier: Apache-2.0
// tokenizer_fixtures: the golden tokenizers and their rows, read for the tests of this folder.
#pragma once

#include <cstdint>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include <graft/io/json.hpp>
#include <graft/text/tokenizer_json.hpp>

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

}  // namespace graft::test
