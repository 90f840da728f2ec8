// SPDX-License-Identifier: Apache-2.0
#include <graft/train/choices.hpp>

#include <graft/models/load_tokenizer.hpp>

#include "support/catch.hpp"
#include "support/files.hpp"
#include "support/paths.hpp"

using namespace graft;

namespace {

train::Choices load_questions(const std::string& rows, std::vector<std::string> answers, Index longest = 0) {
  const text::Tokenizer tokenizer = models::read_tokenizer(test::golden("tokenizer/bytelevel-smollm"), 0);
  const test::TempFolder folder;
  return train::load_choices(folder.write("q.jsonl", rows), {.tokenizer = &tokenizer, .longest = longest},
                             std::move(answers));
}

/// The text of an example, its EOS left out.
std::string text_of(const train::Example& example) {
  const text::Tokenizer tokenizer = models::read_tokenizer(test::golden("tokenizer/bytelevel-smollm"), 0);
  return tokenizer.decode(example.ids, true);
}

constexpr const char* two_questions = R"({"prompt": "Is it far?", "completion": " no"}
{"prompt": "Is it near?", "completion": " yes"})";

}  // namespace

TEST_CASE("every question stands once with each answer, the blanks around its own kept, and knows the right one") {
  const train::Choices choices = load_questions(two_questions, {"yes", "no"});
  REQUIRE(choices.examples.size() == 4);
  CHECK(text_of(choices.examples[0]) == "Is it far? yes");
  CHECK(text_of(choices.examples[1]) == "Is it far? no");
  CHECK(text_of(choices.examples[3]) == "Is it near? no");
  CHECK(choices.right == std::vector<Index>{1, 0});
  CHECK(choices.examples[0].prompt == choices.examples[1].prompt);
  const train::Choices dialogue = load_questions(
      R"({"messages": [{"role": "user", "content": "Far?"}, {"role": "assistant", "content": "no"}]})", {"no", "yes"});
  CHECK(dialogue.right == std::vector<Index>{0});
  CHECK(text_of(dialogue.examples[1]).find("yes") != std::string::npos);
}

TEST_CASE("the answer whose tokens are likeliest together is chosen; the loss is that of the right ones") {
  const train::Choices choices = load_questions(two_questions, {"yes", "no"});
  const std::vector<train::Evaluation> each = {{3, 2, 0}, {1, 2, 0}, {2.5, 2, 0}, {0.5, 1, 0}};
  const train::ChoiceScore score = train::choose(choices, each);
  CHECK(score.questions == 2);
  CHECK(score.right == 1);  // "no" both times
  CHECK(score.accuracy() == 0.5);
  CHECK(score.likelihood.nll == 3.5);
  CHECK(score.likelihood.tokens == 4);
}

TEST_CASE("divided by the characters of the answers, a longer answer may win") {
  const text::Tokenizer tokenizer = models::read_tokenizer(test::golden("tokenizer/bytelevel-smollm"), 0);
  train::Record record;
  record.prompt = "Which?";
  record.completion = " no";
  const std::vector<train::Question> questions = {{record, {"no", "\xC3\xA4\xC3\xB6\xC3\xBC yes"}, 1},
                                                  {record, {"a", "b", "c"}, 2}};
  const train::Choices choices =
      train::make_choices(questions, {.tokenizer = &tokenizer}, "q", [](Index) { return "q"; });
  CHECK(choices.begins == std::vector<Index>{0, 2, 5});
  CHECK(choices.characters == std::vector<Index>{2, 7, 1, 1, 1});
  const std::vector<train::Evaluation> each = {{3, 1, 0}, {7, 4, 0}, {3, 1, 0}, {2, 1, 0}, {1, 1, 0}};
  const train::ChoiceScore score = train::choose(choices, each);
  CHECK(score.right == 1);
  CHECK(score.right_norm == 2);
  CHECK(score.accuracy_norm() == 1);
}

TEST_CASE("an answer that is none of the list, and questions that do not fit, are errors that say so") {
  const Error other = test::error_of([] { (void)load_questions(two_questions, {"yes", "maybe"}); });
  CHECK(other.id() == "train.428");
  CHECK(std::string(other.what()).find("q.jsonl:1") != std::string::npos);
  CHECK(test::error_of([] { (void)load_questions(R"({"text": "It is."})", {"yes"}); }).id() == "train.428");
  CHECK(test::error_of([] { (void)load_questions(two_questions, {"yes", "no"}, 3); }).id() == "train.427");
  const std::string longer = std::string(two_questions) + "\n" +
                             R"({"prompt": "Is it not rather very far away from here?", "completion": "no"})";
  const auto window = std::ssize(load_questions(two_questions, {"yes", "no"}).examples[2].ids);  // of the longer one
  const train::Choices choices = load_questions(longer, {"yes", "no"}, window);
  CHECK(choices.too_long == 1);
  CHECK(choices.right.size() == 2);
}
