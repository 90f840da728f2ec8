// SPDX-License-Identifier: Apache-2.0
#include <graft/text/known_chat_templates.hpp>

#include "support/catch.hpp"
#include "text/tokenizer_fixtures.hpp"

using namespace graft;
using test::contains;

TEST_CASE("a template is recognised with its default system turn, whatever that says", "[text]") {
  const io::Json sources = test::json_file(test::golden("tokenizer/chat/templates.json"));
  CHECK(text::recognise(sources["chatml"], "", "").default_system().empty());
  CHECK(text::recognise(sources["smollm2"], "", "").default_system() ==
        "You are a helpful AI assistant named SmolLM, trained by Hugging Face");
  CHECK(text::recognise(sources["qwen2"], "", "").default_system() == "You are a helpful assistant.");
  std::string own = sources["qwen2"];
  own.replace(own.find("You are a helpful assistant."), 28, "Don\\'t \\\\ talk\\nmuch");
  CHECK(text::recognise(own, "", "").default_system() == "Don't \\ talk\nmuch");
}

TEST_CASE("a template that differs anywhere is text.340 with advice", "[text]") {
  const io::Json sources = test::json_file(test::golden("tokenizer/chat/templates.json"));
  for (const auto& [name, source] : sources.items()) {
    for (const auto& [from, to] :
         {std::pair{"content'] ", "content'] | upper "}, std::pair{"{% endfor %}", "{{ x }}{% endfor %}"},
          std::pair{"message['role']", "message['name']"}}) {
      std::string changed = source;
      const std::size_t at = changed.find(from);
      if (at == std::string::npos) {
        continue;
      }
      changed.replace(at, std::string(from).size(), to);
      INFO(name << " " << to);
      CHECK_THROWS_WITH(text::recognise(changed, "", ""), contains("text.340") && contains("--chat-template"));
    }
  }
  CHECK_THROWS_WITH(text::recognise("", "", ""), contains("text.340") && contains("absent"));
  std::string code = sources["qwen2"];
  code.replace(code.find("You are a helpful assistant."), 28, "a' + messages[0]['content'] + 'b");
  CHECK_THROWS_WITH(text::recognise(code, "", ""), contains("text.340"));
}

TEST_CASE("every listed name has a template, and another name is text.341", "[text]") {
  const std::string names(text::chat_template_names);
  for (std::size_t at = 0; at < names.size();) {
    const std::size_t comma = std::min(names.find(", ", at), names.size());
    CHECK_NOTHROW(text::chat_template(names.substr(at, comma - at), "", ""));
    at = comma + 2;
  }
  CHECK_THROWS_WITH(text::chat_template("vicuna", "", ""),
                    contains("text.341") && contains("vicuna") && contains("zephyr"));
}

TEST_CASE("a tokenizer's own template is used unless a name is given", "[text]") {
  const text::Tokenizer tokenizer = test::golden_tokenizer("bytelevel-llama3");
  const text::Message messages[] = {{"user", "a"}};
  CHECK(text::chat_template_of(tokenizer).style() == text::ChatStyle::llama3);
  CHECK(text::chat_template_of(tokenizer).render(messages, false).text ==
        "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\na<|eot_id|>");
  CHECK(text::chat_template_of(tokenizer, "chatml").style() == text::ChatStyle::chatml);
}
