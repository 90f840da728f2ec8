// SPDX-License-Identifier: Apache-2.0
#include <graft/text/stream_decoder.hpp>

#include "support/catch.hpp"
#include "text/tokenizer_fixtures.hpp"

using namespace graft;
using test::Ids;

TEST_CASE("the pieces of a stream are whole characters and join to what decode gives", "[text]") {
  for (const std::string kind : {"bytelevel-gpt2", "bytelevel-llama3", "sentencepiece"}) {
    const text::Tokenizer tokenizer = test::golden_tokenizer(kind);
    for (const io::Json& row : test::json_lines(test::golden("tokenizer/" + kind + "/ids.jsonl"))) {
      const bool cut = row.contains("ids_only");
      if (cut && kind == "sentencepiece") {
        continue;  // there decode judges a run of byte tokens as a whole, which a stream cannot wait for
      }
      const auto ids = row[cut ? "ids_only" : "ids"].get<Ids>();
      for (const bool skip : {false, true}) {
        text::StreamDecoder stream(tokenizer, skip);
        std::string joined;
        for (const std::int32_t id : ids) {
          const std::string piece = stream.push(id);
          CHECK(text::valid_until(piece, 0) == piece.size());
          joined += piece;
        }
        joined += stream.finish();
        INFO(kind << " " << row.dump());
        CHECK(joined == tokenizer.decode(ids, skip));
      }
    }
  }
}

TEST_CASE("a character comes with its last byte, and one cut short as a replacement at the end", "[text]") {
  const text::Tokenizer tokenizer = test::golden_tokenizer("bytelevel-gpt2");
  const Ids ids = tokenizer.encode("\U0001F44D", false);
  REQUIRE(ids.size() > 1);
  text::StreamDecoder stream(tokenizer);
  for (std::size_t i = 0; i + 1 < ids.size(); ++i) {
    CHECK(stream.push(ids[i]).empty());
  }
  CHECK(stream.push(ids.back()) == "\U0001F44D");
  CHECK(stream.push(ids[0]).empty());
  CHECK(stream.finish() == "\uFFFD");
  CHECK(stream.finish().empty());
}

TEST_CASE("a stream that goes on with a text keeps its first space", "[text]") {
  const text::Tokenizer tokenizer = test::golden_tokenizer("sentencepiece");
  const Ids ids = tokenizer.encode("the", false);
  text::StreamDecoder opens(tokenizer), continues(tokenizer, false, false);
  CHECK(opens.push(ids[0]) == "the");
  CHECK(continues.push(ids[0]) == " the");
}
