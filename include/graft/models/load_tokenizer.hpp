// SPDX-License-Identifier: Apache-2.0
// load_tokenizer: the tokenizer that belongs to a checkpoint, or one that is named.
//
// GGUF carries its own arrays; a Hugging Face folder has tokenizer.json; beside llama2.c's model.bin stands tok<vocabulary>.bin
// or tokenizer.bin.
#pragma once

#include <optional>
#include <string>

#include <graft/base/require.hpp>
#include <graft/io/atomic_file.hpp>  // read_text
#include <graft/io/json.hpp>
#include <graft/io/path.hpp>
#include <graft/models/checkpoint.hpp>
#include <graft/text/backtracking.hpp>  // compile_builtin
#include <graft/text/tokenizer_arrays.hpp>
#include <graft/text/tokenizer_json.hpp>

namespace graft::models {

/// A tokenizer.json and what stands beside it.
struct TokenizerFiles {
  io::Json tokenizer;  ///< tokenizer.json
  io::Json
      config;  ///< tokenizer_config.json with the chat template of chat_template.jinja; null where neither is there
};

/// Reads tokenizer.json, the tokenizer_config.json beside it, and the chat_template.jinja in which transformers keeps the chat
/// template since 4.50.
[[nodiscard]] inline TokenizerFiles read_tokenizer_files(const std::string& path) {
  TokenizerFiles files{io::parse_json(io::read_text(path), path), {}};
  const std::size_t slash = path.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : path.substr(0, slash);
  if (const std::string beside = io::join(folder, "tokenizer_config.json"); io::exists(beside)) {
    files.config = io::parse_json(io::read_text(beside), beside);
  }
  if (const std::string chat = io::join(folder, "chat_template.jinja"); io::exists(chat)) {
    files.config["chat_template"] = io::read_text(chat);
  }
  return files;
}

/// A tokenizer from a file: tokenizer.json (with what stands beside it), a folder that holds one, a .gguf
/// file, or llama2.c's .bin of `vocab` tokens; anything else is model.530.
[[nodiscard]] inline text::Tokenizer read_tokenizer(const std::string& path, Index vocab,
                                                    text::PatternCompiler compile = &text::compile_builtin) {
  if (io::is_directory(path)) {
    return read_tokenizer(io::join(path, "tokenizer.json"), vocab, compile);
  }
  if (path.ends_with(".json")) {
    const TokenizerFiles files = read_tokenizer_files(path);
    return text::from_tokenizer_json(files.tokenizer, files.config.is_null() ? nullptr : &files.config, path, compile);
  }
  if (path.ends_with(".gguf")) {
    return text::from_arrays(io::read_tokenizer(io::Gguf::open(path)), path, compile);
  }
  if (path.ends_with(".bin")) {
    return text::from_llama2c(io::read_text(path), vocab, path);
  }
  fail("model.530", "the file is not a tokenizer: expected tokenizer.json, a .gguf file, or llama2.c's .bin", path);
}

/// The file beside llama2.c's model that holds its tokenizer, if there is one.
[[nodiscard]] inline std::optional<std::string> llama2c_tokenizer_path(const Checkpoint& checkpoint) {
  const std::size_t slash = checkpoint.path.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : checkpoint.path.substr(0, slash);
  for (const std::string& name :
       {"tok" + std::to_string(checkpoint.config.vocab) + ".bin", std::string("tokenizer.bin")}) {
    if (std::string beside = io::join(folder, name); io::exists(beside)) {
      return beside;
    }
  }
  return std::nullopt;
}

/// The tokenizer of a checkpoint, or nothing where none lies in it or beside it; `path`, where not empty, goes first.
[[nodiscard]] inline std::optional<text::Tokenizer> load_tokenizer(
    const Checkpoint& checkpoint, const std::string& path = {},
    text::PatternCompiler compile = &text::compile_builtin) {
  if (!path.empty()) {
    return read_tokenizer(path, checkpoint.config.vocab, compile);
  }
  if (checkpoint.tokenizer) {
    return text::from_arrays(*checkpoint.tokenizer, checkpoint.path, compile);
  }
  if (io::is_directory(checkpoint.path)) {
    const std::string inside = io::join(checkpoint.path, "tokenizer.json");
    return io::exists(inside) ? std::optional(read_tokenizer(inside, checkpoint.config.vocab, compile)) : std::nullopt;
  }
  if (const std::optional<std::string> beside = llama2c_tokenizer_path(checkpoint)) {
    return read_tokenizer(*beside, checkpoint.config.vocab, compile);
  }
  return std::nullopt;
}

}  // namespace graft::models
