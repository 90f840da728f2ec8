// SPDX-License-Identifier: Apache-2.0
#include <graft/text/chat_template.hpp>

#include <graft/text/known_chat_templates.hpp>

#include "support/catch.hpp"
#include "text/tokenizer_fixtures.hpp"

using namespace graft;

namespace {

std::vector<text::Message> messages_of(const io::Json& json) {
  std::vector<text::Message> messages;
  for (const io::Json& message : json) {
    messages.push_back({message["role"], message["content"]});
  }
  return messages;
}

}  // namespace

TEST_CASE("conversations are rendered, or refused, as the checkpoints' own Jinja templates do", "[text]") {
  const io::Json golden = test::json_file(test::golden("tokenizer/chat/cases.json"));
  const io::Json sources = test::json_file(test::golden("tokenizer/chat/templates.json"));
  REQUIRE(golden["cases"].size() == 126);
  for (const io::Json& one : golden["cases"]) {
    const auto chat = text::recognise(sources[one["template"].get<std::string>()], one["bos_token"], one["eos_token"]);
    const auto messages = messages_of(golden["conversations"][one["conversation"].get<std::string>()]);
    INFO(one.dump());
    if (one.contains("error")) {
      CHECK_THROWS_WITH(chat.render(messages, one["add_generation_prompt"]),
                        test::contains("text.342") && test::contains(one["error"].get<std::string>()));
    } else {
      CHECK(chat.render(messages, one["add_generation_prompt"]).text == one["expected"].get<std::string>());
    }
  }
}

TEST_CASE("the trained stretches are the assistant's words and the token that ends them", "[text]") {
  const text::Message messages[] = {{"user", "One"}, {"assistant", " 1 "}, {"user", "Two"}, {"assistant", "2"}};
  struct Row {
    const char* name;
    std::vector<std::string> trained;
  };
  for (const Row& row :
       {Row{"chatml", {" 1 <|im_end|>", "2<|im_end|>"}}, Row{"smollm2", {" 1 <|im_end|>", "2<|im_end|>"}},
        Row{"llama2", {" 1 </s>", " 2 </s>"}}, Row{"llama3", {"1<|eot_id|>", "2<|eot_id|>"}},
        Row{"mistral", {" 1 </s>", "2</s>"}}, Row{"gemma", {"1<end_of_turn>", "2<end_of_turn>"}},
        Row{"zephyr", {" 1 </s>", "2</s>"}}, Row{"plain", {" 1 </s>", "2</s>"}}}) {
    const text::Rendered rendered = text::chat_template(row.name, "<s>", "</s>").render(messages, true);
    std::vector<std::string> trained;
    for (const auto& [begin, end] : rendered.trained) {
      trained.push_back(rendered.text.substr(static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin)));
    }
    INFO(row.name);
    CHECK(trained == row.trained);
  }
}

TEST_CASE("an empty conversation, and a role that would vanish, are refused", "[text]") {
  const text::Message tool[] = {{"user", "a"}, {"tool", "b"}};
  for (const char* name : {"chatml", "llama2", "llama3", "mistral", "gemma", "zephyr", "plain"}) {
    CHECK_THROWS_WITH(text::chat_template(name, "", "").render({}, false), test::contains("text.342"));
  }
  for (const char* name : {"llama2", "mistral", "zephyr"}) {
    CHECK_THROWS_WITH(text::chat_template(name, "", "").render(tool, false), test::contains("text.342"));
  }
}

TEST_CASE("Zephyr and plain conversations read as documented", "[text]") {
  const text::Message messages[] = {{"system", "s"}, {"user", "u"}};
  CHECK(text::chat_template("zephyr", "<s>", "</s>").render(messages, true).text ==
        "<|system|>\ns</s>\n<|user|>\nu</s>\n<|assistant|>\n");
  CHECK(text::chat_template("plain", "<s>", "</s>").render(messages, true).text == "s\nu\n");
}

TEST_CASE("trim takes what Python's strip takes", "[text]") {
  CHECK(text::trim("\x1C \u3000\n a b \x1F\u00A0\t") == "a b");
  CHECK(text::trim("\u200B") == "\u200B");
  CHECK(text::trim(" \n ").empty());
}
