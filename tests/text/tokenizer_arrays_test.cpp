// SPDX-License-Identifier: Apache-2.0
#include <graft/text/tokenizer_arrays.hpp>

#include <graft/io/gguf.hpp>
#include <graft/text/pcre2.hpp>

#include "support/catch.hpp"
#include "text/tokenizer_fixtures.hpp"

using namespace graft;
using test::contains;
using test::Ids;

namespace {

text::TokenizerArrays small_arrays() {
  text::TokenizerArrays arrays;
  arrays.model = "gpt2";
  arrays.pre = "gpt-2";
  arrays.tokens = {"a", "b", "ab", "<c>", "<u>"};
  arrays.types = {1, 1, 1, 3, 4};
  arrays.merges = {"a b"};
  return arrays;
}

}  // namespace

TEST_CASE("pieces merged by their scores have the ids that sentencepiece gives", "[text]") {
  const text::TokenizerArrays arrays = test::sentencepiece_arrays();
  REQUIRE(arrays.tokens.size() == 512);
  REQUIRE(arrays.scores.size() == 512);
  test::check_sentencepiece(text::from_arrays(arrays, "tokenizer.model"));
}

TEST_CASE("control and user-defined tokens are found in texts, and only control ones are special", "[text]") {
  text::TokenizerArrays arrays = small_arrays();
  arrays.bos = 3;
  arrays.add_bos = true;
  const text::Tokenizer tokenizer = text::from_arrays(arrays, "f.gguf");
  CHECK(tokenizer.encode("ab<u><c>", true) == Ids{3, 2, 4, 3});
  CHECK(tokenizer.decode(Ids{3, 2, 4, 3}, true) == "ab<u>");
}

TEST_CASE("each GGUF name stands for the pattern and the habits of its family", "[text]") {
  test::check_byte_level_families([](const auto& arrays) { return text::from_arrays(arrays, "f.gguf"); });
}

TEST_CASE("an unknown model or pre-tokenizer, and arrays that do not fit, are errors that name the key", "[text]") {
  struct Case {
    void (*spoil)(text::TokenizerArrays&);
    const char* id;
    const char* named;
  };
  for (const Case& one : {
           Case{[](auto& a) { a.model = "bert"; }, "text.332", "\"bert\""},
           Case{[](auto& a) { a.pre = "default"; }, "text.332", "\"default\""},
           Case{[](auto& a) { a.merges.clear(); }, "text.330", "tokenizer.ggml.merges"},
           Case{[](auto& a) { a.merges[0] = "ab"; }, "text.331", "\"ab\""},
           Case{[](auto& a) { a.merges[0] = "b a"; }, "text.311", "\"ba\""},
           Case{[](auto& a) { a.tokens.clear(), a.types.clear(); }, "text.330", "tokenizer.ggml.tokens"},
           Case{[](auto& a) { a.types.pop_back(); }, "text.331", "token_type"},
           Case{[](auto& a) { a.eos = 5; }, "text.331", "eos_token_id"},
           Case{[](auto& a) { a.model = "llama"; }, "text.331", "scores"},
           Case{[](auto& a) { a.model = "llama", a.scores = {0, 0, 0, 0, -HUGE_VALF}; }, "text.331", "scores[4]"},
       }) {
    text::TokenizerArrays arrays = small_arrays();
    one.spoil(arrays);
    INFO(one.named);
    CHECK_THROWS_WITH(text::from_arrays(arrays, "f.gguf"),
                      contains(one.id) && contains(one.named) && contains("f.gguf"));
  }
}

TEST_CASE("a llama2.c tokenizer that is cut short, too long or absurd is text.333", "[text]") {
  std::string bytes(4, '\0');
  bytes[0] = 6;
  for (int i = 0; i < 260; ++i) {
    const float score = static_cast<float>(-i);
    const std::int32_t length = 3;
    bytes.append(reinterpret_cast<const char*>(&score), 4).append(reinterpret_cast<const char*>(&length), 4);
    bytes += std::to_string(100 + i);
  }
  CHECK(text::from_llama2c(bytes, 260, "tok.bin").vocab_size() == 260);
  for (const std::string& wrong : {bytes.substr(0, 3), bytes.substr(0, bytes.size() - 1), bytes + "x", std::string()}) {
    CHECK_THROWS_WITH(text::from_llama2c(wrong, 260, "tok.bin"), contains("text.333") && contains("tok.bin"));
  }
  CHECK_THROWS_WITH(text::from_llama2c(bytes, 100, "tok.bin"), contains("text.333"));
  std::string absurd = bytes;
  absurd[11] = '\x7F';
  CHECK_THROWS_WITH(text::from_llama2c(absurd, 260, "tok.bin"), contains("text.333") && contains("length"));
}

TEST_CASE("the tokenizer of stories260K spells every byte and opens a text with BOS", "[text][shared]") {
  const text::Tokenizer tokenizer =
      text::from_llama2c(test::contents(test::shared("data/models/tok512.bin")), 512, "tok512.bin");
  const std::string story = "Once upon a time, there was a little girl named Lily. \xF0\x9F\x91\x8D \xFF";
  const Ids ids = tokenizer.encode(story, true);
  CHECK(ids[0] == 1);
  CHECK(std::vector(ids.begin() + 1, ids.begin() + 5) == Ids{403, 407, 261, 378});  // what llama2.c's run.c prints
  CHECK(tokenizer.decode_bytes(ids, true) == story);
  CHECK(tokenizer.encode("", true) == Ids{1});
  CHECK(tokenizer.encode("\n<s>\n", false) != Ids{1});
}

TEST_CASE("SmolLM2's tokenizer has the golden ids and texts", "[text][shared][real]") {
  const auto data = io::read_tokenizer(io::Gguf::open(test::smollm2()));
  for (const auto compile : {&text::compile_builtin, &text::compile_pcre2}) {
    const text::Tokenizer tokenizer = text::from_arrays(data, test::smollm2(), compile);
    const auto rows = test::json_lines(test::shared("golden/smollm2/tokens.jsonl"));
    REQUIRE(rows.size() == 85);
    for (const io::Json& row : rows) {
      const auto text = row["text"].get<std::string>();
      INFO(text);
      CHECK(tokenizer.encode(text, true) == row["ids"].get<Ids>());
      CHECK((tokenizer.decode(row["ids"].get<Ids>()) == text) == row["decoded_equals_text"].get<bool>());
    }
  }
}
