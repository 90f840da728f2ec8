// SPDX-License-Identifier: Apache-2.0
#include <graft/train/record.hpp>

#include "support/catch.hpp"
#include "support/files.hpp"

using namespace graft;

namespace {

train::Record read(const char* json) {
  return train::read_record(io::parse_json(json, "data.jsonl:3"), "data.jsonl:3");
}
Error refused(const char* json) {
  return test::error_of([&] { (void)read(json); });
}

}  // namespace

TEST_CASE("a pair is a conversation for a template, and a prompt before its completion without one") {
  for (const auto& [json, content, prompt] :
       {std::tuple{R"({"prompt": "2+2=", "completion": "4"})", "2+2=", "2+2="},
        {R"({"question": "2+2?", "answer": "4"})", "2+2?", "2+2?\n"},
        {R"({"instruction": "Add.", "input": "2 2", "output": "4", "answer": "no"})", "Add.\n2 2", "Add.\n2 2\n"},
        {R"({"instruction": "Add.", "input": "", "output": "4"})", "Add.", "Add.\n"},
        {R"({"instruction": "Add.", "output": "4"})", "Add.", "Add.\n"}}) {
    const train::Record record = read(json);
    INFO(json);
    REQUIRE(record.messages.size() == 2);
    CHECK(record.messages[0].role == "user");
    CHECK(record.messages[0].content == content);
    CHECK(record.messages[1].role == "assistant");
    CHECK(record.messages[1].content == "4");
    CHECK(record.prompt == prompt);
    CHECK(record.completion == "4");
  }
}

TEST_CASE("messages keep their roles, and ShareGPT's names become them") {
  const train::Record chat =
      read(R"({"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}]})");
  REQUIRE(chat.messages.size() == 2);
  CHECK(chat.messages[0].role == "system");
  CHECK(chat.messages[1].content == "u");
  const train::Record shared =
      read(R"({"conversations": [{"from": "human", "value": "u"}, {"from": "gpt", "value": "a"}]})");
  CHECK(shared.messages[0].role == "user");
  CHECK(shared.messages[1].role == "assistant");
  CHECK(shared.messages[1].content == "a");
}

TEST_CASE("ids are used as they stand, labelled throughout where the record has no labels") {
  const train::Record plain = read(R"({"input_ids": [5, 6, 7]})");
  CHECK(plain.ids == std::vector<std::int32_t>{5, 6, 7});
  CHECK(plain.labels == plain.ids);
  CHECK_FALSE(plain.prompt_length.has_value());
  const train::Record masked = read(R"({"row": 1, "input_ids": [5, 6], "labels": [-100, 6], "prompt_length": 1})");
  CHECK(masked.labels == std::vector<std::int32_t>{-100, 6});
  CHECK(masked.prompt_length == 1);
}

TEST_CASE("a text is all completion") {
  const train::Record record = read(R"({"text": "once"})");
  CHECK(record.messages.empty());
  CHECK(record.prompt.empty());
  CHECK(record.completion == "once");
}

TEST_CASE("a record that cannot be read names its line, its keys and what was expected") {
  const Error unknown = refused(R"({"contxt": "a", "completion": "b"})");
  CHECK(unknown.id() == "train.420");
  CHECK_THAT(unknown.what(), test::contains("completion, contxt") && test::contains("prompt, completion") &&
                                 test::contains("data.jsonl:3"));
  CHECK(refused(R"({"messages": []})").id() == "train.421");
  CHECK(refused(R"({"messages": ["a"]})").id() == "train.421");
  CHECK(refused(R"({"messages": [{"role": "user"}]})").id() == "io.212");
  CHECK(refused(R"({"input_ids": [1, 2], "labels": [1]})").id() == "train.422");
  CHECK(refused(R"({"input_ids": [1.5]})").id() == "io.212");
  CHECK(refused(R"({"prompt": 3, "completion": "b"})").id() == "io.212");
}
