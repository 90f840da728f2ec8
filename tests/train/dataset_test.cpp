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

TEST_CASE("a file on the disk gives the examples that a file in memory gives, in any order and on any thread") {
  const text::Tokenizer tokenizer = smollm();
  const train::DatasetOptions options{.tokenizer = &tokenizer, .longest = 12};
  std::string rows;
  for (int i = 0; i < 100; ++i) {
    rows += R"({"prompt": "Count to )" + std::to_string(i) + R"(", "completion": ")" +
            std::string(static_cast<std::size_t>(i), 'a') + "\"}\n\n";
  }
  const test::TempFolder folder;
  const train::ExampleFile file(folder.write("data.jsonl", rows), options);
  const train::Dataset data = train::load_dataset(file.path(), options);
  CHECK(file.counts().records == 100);
  CHECK(file.counts().cut > 0);
  CHECK(file.counts().tokens == data.tokens);
  const std::vector<std::uint32_t> kept = file.kept().slice(0, 200);
  REQUIRE(kept.size() == data.examples.size());
  for (const std::size_t i : {99, 0, 50, 7}) {
    const train::Example example = file.at(Index{kept[i]});
    CHECK(example.ids == data.examples[i].ids);
    CHECK(example.labels == data.examples[i].labels);
    CHECK(example.prompt == data.examples[i].prompt);
    CHECK(file.tokens(kept[i]) == std::ssize(example.ids));
  }
  CHECK(file.line(99) == 199);
  CHECK(file.record(3).prompt == "Count to 3");
}

TEST_CASE("the first mistake of a file is told, whichever thread meets one first, and progress reaches the end") {
  const test::TempFolder folder;
  std::string rows;
  for (int i = 0; i < 20000; ++i) {
    rows += i == 9000 || i == 12000 ? "{\"input_ids\": [9]}\n" : "{\"input_ids\": [1, 2]}\n";
  }
  const std::string path = folder.write("data.jsonl", rows);
  CHECK_THAT(test::error_of([&] { (void)train::ExampleFile(path, {.vocab = 4}); }).where(),
             test::contains("data.jsonl:9001"));
  Index told = 0;
  const train::ExampleFile file(path, {}, [&](Index done, Index all) {
    CHECK(all == 20000);
    told = done;
  });
  CHECK(told == 20000);
}

TEST_CASE("a masked prompt, and examples that are trained whole, are counted") {
  const train::Dataset data = load_rows(
      "{\"input_ids\": [1, 2, 3]}\n{\"input_ids\": [1, 2], \"labels\": [-100, 2]}\n"
      "{\"input_ids\": [1, 2, 3], \"labels\": [1, -100, 3]}\n",
      {});
  CHECK(data.all_trained == 1);
  CHECK(data.without_prompt == 2);
}

TEST_CASE("a plain text is trained whole, in pieces that the window holds") {
  const text::Tokenizer tokenizer = llama2();
  const test::TempFolder folder;
  const std::string text =
      "Once upon a time there was a cat.\nIt sat on the mat.\n\nIt was \xC3\xA4 cat \xF0\x9F\x90\xB1.";
  const train::Dataset data =
      train::load_dataset(folder.write("story.txt", text), {.tokenizer = &tokenizer, .longest = 24});
  CHECK(data.keys == "plain text");
  CHECK(data.cut + data.too_long + data.untrained == 0);
  CHECK(data.records > 3);
  CHECK(data.all_trained == data.records);
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
  CHECK(refused("7", {}).id() == "io.241");
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
