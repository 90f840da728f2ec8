// SPDX-License-Identifier: Apache-2.0
#include <graft/text/tokenizer_json.hpp>

#include "support/catch.hpp"
#include "text/tokenizer_fixtures.hpp"

using namespace graft;
using io::Json;
using test::contains;
using test::Ids;

namespace {

Json small() {
  return Json::parse(R"({"added_tokens":[{"id":4,"content":"<e>","special":true,"normalized":false}],
    "normalizer":null,"pre_tokenizer":{"type":"ByteLevel","add_prefix_space":false,"use_regex":true},"post_processor":null,
    "decoder":{"type":"ByteLevel"},"model":{"type":"BPE","vocab":{"a":0,"b":1,"\u0120":2,"ab":3},"merges":["a b"]}})");
}

text::Tokenizer read(const Json& json, const Json* config = nullptr) {
  return text::from_tokenizer_json(json, config, "tokenizer.json");
}

}  // namespace

TEST_CASE("merges are read in both spellings, a space inside one included", "[text]") {
  Json json = small();
  CHECK(read(json).encode("ab ba<e>", false) == Ids{3, 2, 1, 0, 4});
  json["model"]["merges"] = Json::parse(R"([["a","b"]])");
  CHECK(read(json).encode("ab ba<e>", false) == Ids{3, 2, 1, 0, 4});
}

TEST_CASE("a normalized added token is looked for after normalising, another before", "[text]") {
  Json json = small();
  json["normalizer"] = Json::parse(R"({"type":"Replace","pattern":{"String":"b"},"content":"a"})");
  json["added_tokens"].push_back({{"id", 5}, {"content", "aba"}, {"normalized", true}});
  CHECK(read(json).encode("bbb", false) == Ids{5});
  json["added_tokens"][1]["normalized"] = false;
  CHECK(read(json).encode("bbbaba", false) == Ids{0, 0, 0, 5});
}

TEST_CASE("tokens that only the config adds are found, and its chat templates are read by name", "[text]") {
  const Json config =
      Json::parse(R"({"eos_token":{"content":"<e>"},"added_tokens_decoder":{"4":{"content":"<e>","special":true},
    "9":{"content":"<x>","special":false}},"chat_template":[{"name":"tool","template":"t"},{"name":"default","template":"d"}]})");
  const text::Tokenizer tokenizer = read(small(), &config);
  CHECK(tokenizer.encode("a<x><e>", false) == Ids{0, 9, 4});
  CHECK(tokenizer.decode(Ids{0, 9, 4}, true) == "a<x>");
  CHECK(tokenizer.eos() == 4);
  CHECK_FALSE(tokenizer.bos());
  CHECK(tokenizer.chat_template() == "d");
  const Json wrong{{"bos_token", "<s>"}};
  CHECK_THROWS_WITH(read(small(), &wrong), contains("text.321") && contains("bos_token") && contains("<s>"));
}

TEST_CASE("what would change the ids and is not supported is an error that names its key", "[text]") {
  struct Case {
    const char* pointer;
    Json value;
    const char* named;
  };
  for (const Case& one :
       {Case{"/model/type", "Unigram", "model.type"}, Case{"/model/dropout", 0.1, "model.dropout"},
        Case{"/model/end_of_word_suffix", "</w>", "model.end_of_word_suffix"},
        Case{"/model/byte_fallback", true, "model.byte_fallback"}, Case{"/model/extra", 1, "model.extra"},
        Case{"/extra", 1, "tokenizer.extra"}, Case{"/decoder", nullptr, "decoder.type"},
        Case{"/decoder/type", "WordPiece", "WordPiece"}, Case{"/pre_tokenizer", nullptr, "pre_tokenizer"},
        Case{"/model/vocab", Json::array(), "model.vocab"}, Case{"/model/vocab/a", "0", "model.vocab.a"},
        Case{"/model/merges", "a b", "model.merges"}, Case{"/model/merges/0", "ab", "model.merges"},
        Case{"/model/merges/0", "a b c", "model.merges"}, Case{"/added_tokens/0/single_word", true, "single_word"},
        Case{"/added_tokens/0/content", "", "added_tokens.content"}}) {
    Json json = small();
    json[Json::json_pointer(one.pointer)] = one.value;
    INFO(one.pointer);
    CHECK_THROWS_WITH(read(json), contains("text.320") && contains(one.named) && contains("tokenizer.json"));
  }
}

TEST_CASE("missing parts and contradictions are one error each", "[text]") {
  Json json = small();
  json["model"].erase("merges");
  CHECK_THROWS_WITH(read(json), contains("io.212") && contains("merges") && contains("tokenizer.json"));
  json = small();
  json.erase("model");
  CHECK_THROWS_WITH(read(json), contains("io.212") && contains("model"));
  json = small();
  json["model"]["merges"].push_back("b b");
  CHECK_THROWS_WITH(read(json), contains("text.311") && contains("\"bb\""));
  json = small();
  json["added_tokens"][0]["id"] = 3;
  CHECK_THROWS_WITH(read(json), contains("text.310"));
  CHECK_THROWS_WITH(read(Json::array()), contains("text.320"));
  const std::string file = test::contents(test::golden("tokenizer/bytelevel-gpt2/tokenizer.json"));
  CHECK_THROWS_WITH(io::parse_json(file.substr(0, file.size() / 2), "tokenizer.json"), contains("io.210"));
}
