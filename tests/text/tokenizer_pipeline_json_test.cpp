// SPDX-License-Identifier: Apache-2.0
#include <graft/text/tokenizer_pipeline_json.hpp>

#include <graft/text/backtracking.hpp>

#include "support/catch.hpp"

using namespace graft::text;
using graft::io::Json;
using graft::test::contains;

namespace {

const graft::text::detail::TokenizerPipelineJson pipeline("f.json", &compile_builtin);

std::vector<std::string> split_words(const char* json, const std::string& text) {
  std::vector<SplitStep> steps;
  pipeline.pre_tokenizer(Json::parse(json), steps);
  PreTokenizer::Pieces pieces;
  PreTokenizer(std::move(steps)).split(text, pieces);
  return {pieces.words.begin(), pieces.words.end()};
}

using Words = std::vector<std::string>;

}  // namespace

TEST_CASE("digits are cut one by one or in runs, texts as they are, and ByteLevel without its pattern cuts nothing",
          "[text]") {
  CHECK(split_words(R"({"type":"Digits","individual_digits":true})", "a12") == Words{"a", "1", "2"});
  CHECK(split_words(R"({"type":"Digits","individual_digits":false})", "a12") == Words{"a", "12"});
  CHECK(split_words(R"({"type":"Split","pattern":{"String":"+."},"behavior":"Removed","invert":false})", "a+.b+c") ==
        Words{"a", "b+c"});
  CHECK(split_words(R"({"type":"ByteLevel","use_regex":false,"add_prefix_space":true})", "a b") == Words{" a b"});
}

TEST_CASE("a step that graft does not know is text.320 and named", "[text]") {
  Normalizer normalizer;
  std::vector<SplitStep> steps;
  TokenizerParts parts;
  CHECK_THROWS_WITH(pipeline.normalizer(Json{{"type", "Lowercase"}}, normalizer),
                    contains("text.320") && contains("normalizer.type") && contains("Lowercase"));
  CHECK_THROWS_WITH(pipeline.normalizer(Json{{"type", "NFC"}, {"form", 1}}, normalizer), contains("normalizer.form"));
  CHECK_THROWS_WITH(pipeline.pre_tokenizer(Json{{"type", "Punctuation"}}, steps),
                    contains("pre_tokenizer.type") && contains("Punctuation"));
  CHECK_THROWS_WITH(
      pipeline.pre_tokenizer(Json::parse(R"({"type":"Split","pattern":{"Regex":"a"},"behavior":"Contiguous"})"), steps),
      contains("pre_tokenizer.behavior") && contains("Contiguous"));
  CHECK_THROWS_WITH(pipeline.metaspace(Json{{"type", "Metaspace"}, {"replacement", "_"}}),
                    contains("pre_tokenizer.replacement"));
  CHECK_THROWS_WITH(
      pipeline.metaspace(Json{{"type", "Metaspace"}, {"replacement", word_mark}, {"prepend_scheme", "?"}}),
      contains("pre_tokenizer.prepend_scheme"));
  CHECK_THROWS_WITH(pipeline.decoder_strip(Json::parse(R"({"type":"Sequence","decoders":[{"type":"Fuse"}]})")),
                    contains("decoder.decoders") && contains("Fuse"));
  CHECK_THROWS_WITH(pipeline.post_processor(Json{{"type", "BertProcessing"}}, Vocabulary(), parts),
                    contains("post_processor.type") && contains("BertProcessing"));
}

TEST_CASE("a template puts its tokens on both sides, and only tokens of the vocabulary", "[text]") {
  const Json json = Json::parse(R"({"type":"Sequence","processors":[{"type":"ByteLevel"},{"type":"TemplateProcessing",
    "single":[{"SpecialToken":{"id":"B","type_id":0}},{"Sequence":{"id":"A","type_id":0}},{"SpecialToken":{"id":"E","type_id":0}}],
    "pair":[],"special_tokens":{"B":{"id":"B","ids":[0],"tokens":["B"]},"E":{"id":"E","ids":[1],"tokens":["E"]}}}]})");
  TokenizerParts parts;
  pipeline.post_processor(json, Vocabulary({{"B", 0}, {"E", 1}}, "test"), parts);
  CHECK(parts.prefix == std::vector<std::int32_t>{0});
  CHECK(parts.suffix == std::vector<std::int32_t>{1});
  TokenizerParts other;
  CHECK_THROWS_WITH(pipeline.post_processor(json, Vocabulary({{"B", 0}}, "test"), other), contains("special_tokens.E"));
}
