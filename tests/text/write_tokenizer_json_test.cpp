// SPDX-License-Identifier: Apache-2.0
#include <graft/text/write_tokenizer_json.hpp>

#include "support/catch.hpp"
#include "text/tokenizer_fixtures.hpp"

using namespace graft;
using test::contains;
using test::Ids;

namespace {

/// What a reader of the two written files makes of some arrays.
text::Tokenizer written_and_read(const text::TokenizerArrays& arrays) {
  const io::Json config = text::tokenizer_config_json(arrays, 512);
  return text::from_tokenizer_json(text::tokenizer_json(arrays), &config, "tokenizer.json");
}

}  // namespace

TEST_CASE("byte-level arrays written as tokenizer.json give the golden ids", "[text]") {
  test::check_byte_level_families(&written_and_read);
}

TEST_CASE("pieces with scores written as merges give the ids that sentencepiece gives", "[text]") {
  test::check_sentencepiece(written_and_read(test::sentencepiece_arrays()));
}

TEST_CASE("special tokens, what opens and ends a text and the chat template are carried along", "[text]") {
  text::TokenizerArrays arrays;
  arrays.model = "gpt2";
  arrays.pre = "gpt-2";
  arrays.tokens = {"a", "b", "ab", "<c>", "<u>", "<e>"};
  arrays.types = {1, 1, 1, 3, 4, 3};
  arrays.merges = {"a b"};
  arrays.bos = 3;
  arrays.eos = 5;
  arrays.add_bos = arrays.add_eos = true;
  arrays.chat_template = "{{ messages }}";
  const text::Tokenizer tokenizer = written_and_read(arrays);
  CHECK(tokenizer.encode("ab<u><c>", true) == Ids{3, 2, 4, 3, 5});
  CHECK(tokenizer.decode(Ids{3, 2, 4, 3, 5}, true) == "ab<u>");
  CHECK(tokenizer.bos() == 3);
  CHECK(tokenizer.eos() == 5);
  CHECK(tokenizer.chat_template() == arrays.chat_template);
  arrays.add_bos = arrays.add_eos = false;
  CHECK(written_and_read(arrays).encode("ab", true) == Ids{2});
}

TEST_CASE("arrays that are no tokenizer are refused before anything is written", "[text]") {
  text::TokenizerArrays arrays = test::byte_level_arrays("bytelevel-gpt2", "deepseek");
  CHECK_THROWS_WITH(text::tokenizer_json(arrays, "f.gguf"), contains("text.332") && contains("\"deepseek\""));
  arrays.pre = "gpt-2";
  arrays.merges.clear();
  CHECK_THROWS_WITH(text::tokenizer_json(arrays, "f.gguf"), contains("text.330"));
}
