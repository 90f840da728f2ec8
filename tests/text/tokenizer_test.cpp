// SPDX-License-Identifier: Apache-2.0
#include <graft/text/tokenizer.hpp>

#include <graft/text/pcre2.hpp>

#include <random>

#include "support/catch.hpp"
#include "text/tokenizer_fixtures.hpp"

using namespace graft;
using test::Ids;

namespace {

const char* const kinds[] = {"bytelevel-gpt2", "bytelevel-llama3", "bytelevel-qwen2", "bytelevel-smollm",
                             "sentencepiece"};

}  // namespace

TEST_CASE("ids and texts are those of the tokenizers library, with either pattern engine", "[text]") {
  for (const std::string kind : kinds) {
    for (const auto compile : {&text::compile_builtin, &text::compile_pcre2}) {
      const text::Tokenizer tokenizer = test::golden_tokenizer(kind, compile);
      const auto rows = test::json_lines(test::golden("tokenizer/" + kind + "/ids.jsonl"));
      REQUIRE(rows.size() >= 95);
      for (const io::Json& row : rows) {
        INFO(kind << " " << row.dump());
        if (row.contains("ids_only")) {  // sequences cut inside a character
          CHECK(tokenizer.decode(row["ids_only"].get<Ids>()) == row["decoded"].get<std::string>());
          continue;
        }
        const auto text = row["text"].get<std::string>();
        const auto ids = row["ids"].get<Ids>();
        CHECK(tokenizer.encode(text, false) == ids);
        CHECK(tokenizer.encode(text, true) == row["ids_with_special"].get<Ids>());
        CHECK(tokenizer.decode(ids) == row["decoded"].get<std::string>());
        CHECK(tokenizer.decode(ids, true) == row["decoded_skip_special"].get<std::string>());
      }
    }
  }
}

TEST_CASE("any bytes come back from their ids, malformed UTF-8 included", "[text]") {
  std::mt19937 random(11);
  for (const std::string kind : kinds) {
    if (kind == "bytelevel-qwen2") {  // which normalises
      continue;
    }
    const text::Tokenizer tokenizer = test::golden_tokenizer(kind);
    for (int round = 0; round < 200; ++round) {
      std::string text;
      for (std::size_t i = 0; i < random() % 50; ++i) {
        text.push_back(static_cast<char>(random()));
      }
      CHECK(tokenizer.decode_bytes(tokenizer.encode(text, false)) == text);
    }
  }
}

TEST_CASE("a long text has the ids of its words, remembered or not", "[text]") {
  for (const std::string kind : {"bytelevel-gpt2", "bytelevel-smollm"}) {
    const text::Tokenizer tokenizer = test::golden_tokenizer(kind);
    std::string sentence = "First Citizen: we're 12 r\u00E9sum\u00E9s,\n\n  speak!", text;
    Ids expected;
    const Ids ids = tokenizer.encode(sentence, false);
    for (int i = 0; i < 100; ++i) {  // each sentence ends where every pattern cuts
      text += sentence;
      expected.insert(expected.end(), ids.begin(), ids.end());
    }
    CHECK(tokenizer.encode(text, false) == expected);
  }
}

TEST_CASE("a long SentencePiece text without spaces merges as its halves do where nothing joins them", "[text]") {
  const text::Tokenizer tokenizer = test::golden_tokenizer("sentencepiece");
  const Ids one = tokenizer.encode("the\n", false);
  std::string text;
  Ids expected;
  for (int i = 0; i < 1000; ++i) {
    text += i == 0 ? "the\n" : " the\n";
    expected.insert(expected.end(), one.begin(), one.end());
  }
  CHECK(tokenizer.encode(text, false) == expected);
}

TEST_CASE("an id that no token has is text.313 and named", "[text]") {
  const text::Tokenizer tokenizer = test::golden_tokenizer("bytelevel-gpt2");
  CHECK(tokenizer.vocab_size() == 506);
  for (const std::int32_t id : {-1, 506, 2147483647}) {
    CHECK_THROWS_WITH(tokenizer.decode(Ids{id}), test::contains("text.313") && test::contains(std::to_string(id)));
    CHECK_THROWS_WITH(tokenizer.decode(Ids{id}, true), test::contains("text.313"));
    CHECK_THROWS_WITH(tokenizer.token(id), test::contains("text.313"));
    CHECK_FALSE(tokenizer.is_special(id));
  }
}

TEST_CASE("tokens are found by spelling, and BOS, EOS and the chat template come from the config", "[text]") {
  const text::Tokenizer tokenizer = test::golden_tokenizer("bytelevel-llama3");
  CHECK(tokenizer.id("<|eot_id|>") == 508);
  CHECK(tokenizer.token(508) == "<|eot_id|>");
  CHECK(tokenizer.bos() == 504);
  CHECK(tokenizer.eos() == 508);
  CHECK_FALSE(tokenizer.id("no such token"));
  CHECK(tokenizer.id("\u0120t").has_value());
  CHECK(tokenizer.bytes(*tokenizer.id("\u0120t")) == " t");
  CHECK(tokenizer.is_special(508));
  CHECK_FALSE(tokenizer.is_special(509));
  CHECK_THAT(tokenizer.chat_template(), test::contains("<|start_header_id|>"));
}
