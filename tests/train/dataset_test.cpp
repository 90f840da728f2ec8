// SPDX-License-Identifier: Apache-2.0
#include <graft/train/dataset.hpp>

#include <fstream>

#include <graft/models/load_tokenizer.hpp>
#include <graft/models/open_checkpoint.hpp>
#include <graft/text/known_chat_templates.hpp>

#include "support/catch.hpp"
#include "support/files.hpp"
#include "support/paths.hpp"

using namespace graft;

namespace {

using Ids = std::vector<std::int32_t>;

text::Tokenizer smollm() {
  return models::read_tokenizer(test::golden("tokenizer/bytelevel-smollm"), 0);
}
text::Tokenizer llama2() {
  return models::read_tokenizer(test::golden("tokenizer/sentencepiece"), 0);
}

Ids joined(std::initializer_list<Ids> parts) {
  Ids all;
  for (const Ids& part : parts) {
    all.insert(all.end(), part.begin(), part.end());
  }
  return all;
}

train::Dataset load_rows(const std::string& rows, const train::DatasetOptions& options) {
  const test::TempFolder folder;
  return train::load_dataset(folder.write("data.jsonl", rows), options);
}
Error refused(const std::string& rows, const train::DatasetOptions& options) {
  return test::error_of([&] { (void)load_rows(rows, options); });
}

/// The labels that train everything from token `prompt` on.
Ids labels_from(const Ids& ids, Index prompt) {
  Ids labels = ids;
  std::fill(labels.begin(), labels.begin() + prompt, train::ignored);
  return labels;
}

}  // namespace

TEST_CASE("a pair without a template is its prompt, its completion, which is trained, and EOS") {
  const text::Tokenizer tokenizer = smollm();
  train::DatasetOptions options{.tokenizer = &tokenizer};
  const std::string row = R"({"prompt": "The cat sat on", "completion": " the mat."})";
  const Ids prompt = tokenizer.encode("The cat sat on", false);
  const Ids all = joined({prompt, tokenizer.encode(" the mat.", false), {*tokenizer.eos()}});
  train::Example example = load_rows(row, options).examples.at(0);
  CHECK(example.ids == all);
  CHECK(example.prompt == std::ssize(prompt));
  CHECK(example.labels == labels_from(all, example.prompt));
  options.close = false;
  CHECK(load_rows(row, options).examples.at(0).ids == Ids(all.begin(), all.end() - 1));
  options.train_on_all = true;
  example = load_rows(row, options).examples.at(0);
  CHECK(example.labels == example.ids);
  CHECK(example.prompt == 0);
}

TEST_CASE("what SentencePiece puts before a text stands before the prompt, once") {
  const text::Tokenizer tokenizer = llama2();
  const train::DatasetOptions options{.tokenizer = &tokenizer};
  const train::Example example =
      load_rows(R"({"prompt": "Hello world", "completion": " again"})", options).examples.at(0);
  const Ids whole = tokenizer.encode("Hello world again", true);
  CHECK(example.ids == joined({whole, {*tokenizer.eos()}}));
  CHECK(example.prompt == std::ssize(tokenizer.encode("Hello world", true)));
}

TEST_CASE("a tokenizer that wants BOS gets it before texts and raw pairs, and EOS only where the data ends") {
  io::TokenizerData arrays;
  arrays.model = "llama";
  arrays.tokens = {"<unk>", "<s>", "</s>", "a", "b"};
  arrays.scores = {0, 0, 0, -1, -2};
  arrays.types = {2, 3, 3, 1, 1};
  arrays.bos = 1;
  arrays.eos = 2;
  arrays.add_space_prefix = false;
  arrays.add_bos = true;
  for (const bool add_eos : {false, true}) {
    arrays.add_eos = add_eos;
    const text::Tokenizer tokenizer = text::from_arrays(arrays);
    CHECK(train::opening(tokenizer) == Ids{1});
    const train::Dataset data =
        load_rows(R"([{"prompt": "ab", "completion": "ba"}, {"text": "ab"}])", {.tokenizer = &tokenizer});
    CHECK(data.examples.at(0).ids == Ids{1, 3, 4, 4, 3, 2});
    CHECK(data.examples.at(0).labels == Ids{-100, -100, -100, 4, 3, 2});
    CHECK(data.examples.at(1).ids == Ids{1, 3, 4, 2});
    CHECK(data.examples.at(1).labels == Ids{1, 3, 4, 2});
  }
}

TEST_CASE("a token that straddles prompt and completion is trained") {
  const text::Tokenizer tokenizer = smollm();
  const train::DatasetOptions options{.tokenizer = &tokenizer, .close = false};
  const Ids whole = tokenizer.encode("the theory", false);
  REQUIRE(tokenizer.encode("the theo", false).size() > 1);
  const train::Example example = load_rows(R"({"prompt": "the theo", "completion": "ry"})", options).examples.at(0);
  CHECK(example.ids == whole);
  CHECK(example.prompt < std::ssize(tokenizer.encode("the theo", false)));
  CHECK(example.labels.back() == whole.back());
}

TEST_CASE("every assistant turn is trained with its end token, nothing else is, and nothing follows the last") {
  const text::Tokenizer tokenizer = smollm();
  const text::ChatTemplate chat = text::chat_template_of(tokenizer, "chatml");
  const train::DatasetOptions options{.tokenizer = &tokenizer, .chat = &chat};
  const train::Dataset data =
      load_rows(R"({"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yes?"},)"
                R"( {"role": "user", "content": "Bye"}, {"role": "assistant", "content": "Bye."}]})",
                options);
  const auto encode = [&](const char* text) { return tokenizer.encode(text, false); };
  const Ids opening = encode("<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n");
  const Ids first = encode("Yes?<|im_end|>");
  const Ids between = encode("\n<|im_start|>user\nBye<|im_end|>\n<|im_start|>assistant\n");
  const Ids second = encode("Bye.<|im_end|>");
  const train::Example& example = data.examples.at(0);
  CHECK(example.ids == joined({opening, first, between, second}));
  CHECK(example.labels == joined({Ids(opening.size(), -100), first, Ids(between.size(), -100), second}));
  CHECK(example.prompt == std::ssize(opening));
  CHECK(data.dialogues == 1);
  CHECK(data.labelled == std::ssize(first) + std::ssize(second));
}

TEST_CASE("a text is trained from its first token on") {
  const text::Tokenizer tokenizer = llama2();
  const train::DatasetOptions options{.tokenizer = &tokenizer};
  const train::Dataset data = load_rows(R"({"text": "Once upon a time"})", options);
  const train::Example& example = data.examples.at(0);
  CHECK(example.ids == joined({tokenizer.encode("Once upon a time", true), {*tokenizer.eos()}}));
  CHECK(example.labels == example.ids);
  CHECK(example.prompt == 0);
  CHECK(data.dialogues == 0);
}

TEST_CASE("ids need no tokenizer, and their prompt is what precedes the first label, or what they say") {
  const train::Dataset data = load_rows(
      "{\"input_ids\": [1, 2, 3], \"labels\": [-100, -100, 3]}\n\n"
      "{\"input_ids\": [1, 2, 3], \"labels\": [-100, 2, 3], \"prompt_length\": 3}\n",
      {.vocab = 4});
  REQUIRE(data.examples.size() == 2);
  CHECK(data.examples[0].prompt == 2);
  CHECK(data.examples[1].prompt == 3);
  CHECK(data.tokens == 6);
  CHECK(data.labelled == 3);
}

TEST_CASE("what is cut and what is left out is counted") {
  const std::string rows =
      "{\"input_ids\": [1, 2, 3, 1, 2], \"labels\": [-100, 2, 3, 1, 2]}\n"        // cut
      "{\"input_ids\": [1, 2, 3, 1, 2], \"labels\": [-100, -100, -100, 1, 2]}\n"  // its prompt fills the window
      "{\"input_ids\": [1, 2], \"labels\": [-100, -100]}\n"                       // nothing to train
      "{\"input_ids\": [], \"labels\": []}\n"
      "{\"input_ids\": [1, 2, 3]}\n";
  const train::Dataset data = load_rows(rows, {.vocab = 4, .longest = 3});
  CHECK(data.records == 5);
  CHECK(data.cut == 1);
  CHECK(data.too_long == 1);
  CHECK(data.untrained == 2);
  REQUIRE(data.examples.size() == 2);
  CHECK(data.examples[0].ids == Ids{1, 2, 3});
  CHECK(data.examples[0].labels == Ids{-100, 2, 3});
  CHECK(data.tokens == 6);
  const train::Dataset shown = load_rows(rows, {.vocab = 4, .keep_unlabelled = true});
  CHECK(shown.examples.size() == 4);
  CHECK(shown.untrained == 1);
}

TEST_CASE("a JSON list holds the same records as lines do") {
  const train::Dataset list = load_rows("[{\"input_ids\": [1, 2]},\n {\"input_ids\": [2, 1]}]", {});
  REQUIRE(list.examples.size() == 2);
  CHECK(list.examples[1].ids == Ids{2, 1});
  CHECK(list.keys == "input_ids");
}

TEST_CASE("data that cannot be used is refused with the place of the mistake") {
  const text::Tokenizer tokenizer = smollm();
  const Error id = refused("{\"input_ids\": [1]}\n{\"input_ids\": [1, 4]}", {.vocab = 4});
  CHECK(id.id() == "train.423");
  CHECK_THAT(id.where(), test::contains("data.jsonl:2"));
  CHECK(refused("{\"input_ids\": [1, 2], \"labels\": [1, -3]}", {.vocab = 4}).id() == "train.423");
  CHECK(refused("{\"text\": \"a\"}", {}).id() == "train.424");
  CHECK(refused("{\"input_ids\": [1, 2], \"prompt_length\": 3}", {}).id() == "train.425");
  CHECK(refused("\n\n", {}).id() == "train.426");
  CHECK(refused("[]", {}).id() == "train.426");
  const Error unusable = refused("{\"input_ids\": [1, 2, 3], \"labels\": [-100, -100, 3]}", {.longest = 2});
  CHECK(unusable.id() == "train.427");
  CHECK_THAT(unusable.what(), test::contains("none of the 1 records") && test::contains("2 tokens"));
}

TEST_CASE("GSM8K through SmolLM2's own template gives the golden ids and prompt lengths", "[real][shared]") {
  const models::Checkpoint checkpoint = models::open_checkpoint(test::smollm2());
  const auto tokenizer = models::load_tokenizer(checkpoint);
  REQUIRE(tokenizer.has_value());
  const text::ChatTemplate chat = text::chat_template_of(*tokenizer);
  const train::DatasetOptions options{.tokenizer = &*tokenizer, .chat = &chat, .vocab = checkpoint.config.vocab};
  for (const auto& [ours, golden, count] : {std::tuple{"train", "train", 80}, {"test", "heldout", 32}}) {
    const train::Dataset data =
        train::load_dataset(test::shared(std::string("data/gsm8k/") + ours + ".jsonl"), options);
    std::ifstream lines(test::shared(std::string("golden/smollm2/") + golden + ".jsonl"));
    std::size_t at = 0;
    int found = 0;
    for (std::string line; std::getline(lines, line); ++found) {
      const io::Json expected = io::parse_json(line, golden);
      const Ids ids = expected["ids"];
      while (at < data.examples.size() &&
             data.examples[at].ids != ids) {  // the golden rows are the short ones, in order
        ++at;
      }
      REQUIRE(at < data.examples.size());
      CHECK(data.examples[at].prompt == expected["prompt"].get<Index>());
      CHECK(data.examples[at].labels == labels_from(ids, data.examples[at].prompt));
    }
    CHECK(found == count);
  }
}
