// SPDX-License-Identifier: Apache-2.0
#include <graft/io/gguf_tokenizer.hpp>

#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/files.hpp"
#include "support/gguf_builder.hpp"
#include "support/paths.hpp"

using namespace graft;
using test::contains;
using test::error_of;
using test::GgufBuilder;

namespace {

io::TokenizerData read(const GgufBuilder& builder) {
  const test::TempFolder folder;
  return io::read_tokenizer(io::Gguf::open(folder.write("a.gguf", builder.bytes())));
}

GgufBuilder three_tokens(const std::string& model) {
  GgufBuilder builder;
  builder.add("tokenizer.ggml.model", model).add("tokenizer.ggml.tokens", std::vector<std::string>{"<unk>", "a", "b"});
  return builder;
}

}  // namespace

TEST_CASE("a tokenizer's arrays and ids arrive as they stand in the file") {
  GgufBuilder builder = three_tokens("gpt2");
  builder.add("tokenizer.ggml.pre", std::string("smollm"))
      .add("tokenizer.ggml.merges", std::vector<std::string>{"a b"});
  builder.list("tokenizer.ggml.token_type", 5, std::vector<std::int32_t>{2, 1, 1})
      .add("tokenizer.ggml.bos_token_id", 1u);
  builder.list("tokenizer.ggml.scores", 6, std::vector<float>{0, -0.5f, -1}).add("tokenizer.ggml.eos_token_id", 2u);
  builder.add("tokenizer.ggml.unknown_token_id", 0u).add("tokenizer.chat_template", std::string("{{ x }}"));
  builder.pair("tokenizer.ggml.add_bos_token", 7, std::string(1, '\1'));
  const io::TokenizerData data = read(builder);
  CHECK((data.model == "gpt2" && data.pre == "smollm"));
  CHECK(data.tokens == std::vector<std::string>{"<unk>", "a", "b"});
  CHECK(data.merges == std::vector<std::string>{"a b"});
  CHECK(data.types == std::vector<std::int32_t>{2, 1, 1});
  CHECK(data.scores == std::vector<float>{0, -0.5f, -1});
  CHECK((data.bos == 1 && data.eos == 2 && data.unk == 0 && data.pad == -1 && data.eot == -1));
  CHECK((data.add_bos && !data.add_eos));
  CHECK(data.chat_template == "{{ x }}");
}

TEST_CASE("where the file is silent, SentencePiece adds the begin token and byte-level BPE does not") {
  CHECK(read(three_tokens("llama")).add_bos);
  CHECK_FALSE(read(three_tokens("gpt2")).add_bos);
}

TEST_CASE("lists of another length than the tokens, and ids outside them, are io.236") {
  GgufBuilder scores = three_tokens("llama");
  scores.list("tokenizer.ggml.scores", 6, std::vector<float>{0, 1});
  CHECK_THAT(error_of([&] { (void)read(scores); }).what(),
             contains("io.236") && contains("2 entries") && contains("3 tokens"));
  GgufBuilder types = three_tokens("llama");
  types.list("tokenizer.ggml.token_type", 5, std::vector<std::int32_t>{1, 1, 1, 1});
  CHECK(error_of([&] { (void)read(types); }).id() == "io.236");
  GgufBuilder id = three_tokens("llama");
  id.add("tokenizer.ggml.eos_token_id", 3u);
  CHECK_THAT(error_of([&] { (void)read(id); }).what(),
             contains("io.236") && contains("eos_token_id") && contains("is 3"));
  CHECK(error_of([&] { (void)read(GgufBuilder().add("tokenizer.ggml.model", std::string("gpt2"))); }).id() == "io.235");
}

TEST_CASE("where a file is silent, SentencePiece and Llama-3 begin with bos, other byte-level BPE does not") {
  const auto begins = [](const std::string& model, const std::string& pre) {
    return read(three_tokens(model).add("tokenizer.ggml.pre", pre)).add_bos;
  };
  CHECK(begins("llama", "default"));
  CHECK(begins("gpt2", "llama-bpe"));
  CHECK_FALSE(begins("gpt2", "smollm"));
  CHECK_FALSE(begins("gpt2", "qwen2"));
}

TEST_CASE("SmolLM2 carries its 49152 tokens, its merges and the ChatML template", "[real]") {
  const auto data = io::read_tokenizer(io::Gguf::open(test::smollm2()));
  CHECK((data.model == "gpt2" && data.pre == "smollm"));
  CHECK(data.tokens.size() == 49152);
  CHECK(data.tokens[2] == "<|im_end|>");
  CHECK(data.eos == 2);
  CHECK_THAT(data.chat_template, contains("<|im_start|>"));
}
