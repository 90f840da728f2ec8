// SPDX-License-Identifier: Apache-2.0
#include <graft/models/tokenizer_for_gguf.hpp>

#include <string>

#include "support/catch.hpp"
#include "support/files.hpp"
#include "support/model_draft.hpp"
#include "text/tokenizer_fixtures.hpp"

using namespace graft;

namespace {

struct GoldenFiles {
  io::Json json, config;

  explicit GoldenFiles(const std::string& kind)
      : json(test::json_file(test::golden("tokenizer/" + kind + "/tokenizer.json"))),
        config(test::json_file(test::golden("tokenizer/" + kind + "/tokenizer_config.json"))) {}
  [[nodiscard]] text::TokenizerArrays arrays() const { return models::arrays_of_json(json, &config, "tokenizer.json"); }
  [[nodiscard]] std::string error() const {
    return test::error_of([&] { (void)arrays(); }).id();
  }
};

}  // namespace

TEST_CASE("tokenizer.json as GGUF's arrays gives the golden ids, with and without special tokens") {
  for (const auto& [kind, pre] : {std::pair{"bytelevel-gpt2", "gpt-2"}, std::pair{"bytelevel-smollm", "smollm"},
                                  std::pair{"bytelevel-llama3", "llama-bpe"}, std::pair{"bytelevel-qwen2", "qwen2"},
                                  std::pair{"sentencepiece", "default"}}) {
    const GoldenFiles files(kind);
    const auto arrays = files.arrays();
    CHECK(arrays.pre == pre);
    CHECK(arrays.chat_template == files.config["chat_template"]);
    const text::Tokenizer written = text::from_arrays(arrays);
    const text::Tokenizer direct = test::golden_tokenizer(kind);
    CHECK(written.bos() == direct.bos());
    CHECK(written.eos() == direct.eos());
    for (const io::Json& row : test::json_lines(test::golden(std::string("tokenizer/") + kind + "/ids.jsonl"))) {
      if (row.contains("text")) {
        const auto text = row["text"].get<std::string>();
        INFO(kind << ": " << text);
        CHECK(written.encode(text, true) == direct.encode(text, true));
      }
    }
  }
}

TEST_CASE("the pieces of SentencePiece get the ids that its own scores give") {
  test::check_sentencepiece(text::from_arrays(GoldenFiles("sentencepiece").arrays()));
  const auto arrays = GoldenFiles("sentencepiece").arrays();
  const auto golden = test::sentencepiece_arrays();
  CHECK(arrays.tokens == golden.tokens);
  CHECK(arrays.types == golden.types);
}

TEST_CASE("what GGUF has no word for is refused") {
  GoldenFiles cuts("bytelevel-qwen2");
  cuts.json["normalizer"] = nullptr;
  CHECK(cuts.error() == "model.516");
  GoldenFiles whole("bytelevel-llama3");
  whole.json["model"]["ignore_merges"] = false;
  CHECK(whole.error() == "model.516");
  GoldenFiles ends("bytelevel-llama3");
  ends.json["post_processor"]["single"][0] = {{"SpecialToken", {{"id", "<|eot_id|>"}, {"type_id", 0}}}};
  ends.json["post_processor"]["special_tokens"]["<|eot_id|>"] = {
      {"id", "<|eot_id|>"}, {"ids", {508}}, {"tokens", {"<|eot_id|>"}}};
  CHECK(ends.error() == "model.516");
  GoldenFiles fewer("sentencepiece");
  fewer.json["model"]["merges"].erase(fewer.json["model"]["merges"].begin());
  CHECK(fewer.error() == "model.516");
}

TEST_CASE("every row of the embedding gets a token, and a larger tokenizer is refused") {
  const test::TempFolder folder;
  test::ModelDraft("llama-gqa").write_folder(folder);
  for (const std::string name : {"tokenizer.json", "tokenizer_config.json"}) {
    (void)folder.write(name, test::slurp(test::golden("tokenizer/bytelevel-llama3/" + name)));
  }
  models::Checkpoint checkpoint;
  checkpoint.path = folder.path();
  checkpoint.config.vocab = 520;
  checkpoint.config.eos = {508, 505};
  const auto arrays = models::tokenizer_for_gguf(checkpoint);
  REQUIRE(arrays);
  CHECK(arrays->tokens.size() == 520);
  CHECK(arrays->tokens[519] == "[PAD519]");
  CHECK(arrays->types[519] == 5);
  CHECK(arrays->eos == 508);
  CHECK(arrays->eot == 505);
  CHECK(arrays->add_bos);
  checkpoint.config.vocab = 500;
  CHECK(test::error_of([&] { (void)models::tokenizer_for_gguf(checkpoint); }).id() == "model.516");
  checkpoint.path = test::golden("models/llama-gqa");
  CHECK_FALSE(models::tokenizer_for_gguf(checkpoint));
}
