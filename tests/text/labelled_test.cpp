// SPDX-License-Identifier: Apache-2.0
#include <graft/text/labelled.hpp>

#include <graft/io/gguf_tokenizer.hpp>
#include <graft/text/known_chat_templates.hpp>
#include <graft/text/tokenizer_arrays.hpp>

#include "support/catch.hpp"
#include "text/tokenizer_fixtures.hpp"

using namespace graft;
using test::Ids;

namespace {

std::string trained_text(const text::Tokenizer& tokenizer, const text::Labelled& labelled) {
  Ids ids;
  for (std::size_t i = 0; i < labelled.ids.size(); ++i) {
    if (labelled.trained[i]) {
      ids.push_back(labelled.ids[i]);
    }
  }
  return tokenizer.decode_bytes(ids);
}

}  // namespace

TEST_CASE("the tokens of a stretch are trained, and a token that reaches into it is too", "[text]") {
  const text::Tokenizer tokenizer = test::golden_tokenizer("bytelevel-gpt2");
  const std::string text = "say: yes, the end";
  const std::pair<Index, Index> inside[] = {{4, 8}}, to_the_end[] = {{8, 17}}, halved[] = {{11, 13}};
  CHECK(trained_text(tokenizer, encode_labelled(tokenizer, text, inside, false)) == " yes");
  CHECK(trained_text(tokenizer, encode_labelled(tokenizer, text, to_the_end, false)) == ", the end");
  REQUIRE(tokenizer.id("\u0120the"));
  CHECK(trained_text(tokenizer, encode_labelled(tokenizer, text, halved, false)) == " the");
  CHECK(trained_text(tokenizer, encode_labelled(tokenizer, text, {}, false)).empty());
}

TEST_CASE("special tokens around a text do not move its labels", "[text]") {
  const text::Tokenizer tokenizer = test::golden_tokenizer("bytelevel-llama3");
  const std::pair<Index, Index> stretch[] = {{4, 8}};
  const text::Labelled labelled = encode_labelled(tokenizer, "say: yes, the end", stretch, true);
  CHECK(labelled.ids[0] == tokenizer.bos());
  CHECK_FALSE(labelled.trained[0]);
  CHECK(trained_text(tokenizer, labelled) == " yes");
}

TEST_CASE("a rendered conversation of any template is trained on its answers alone", "[text]") {
  for (const auto& [kind, name, answer] : {std::tuple{"bytelevel-smollm", "smollm2", "Hello you!<|im_end|>"},
                                           std::tuple{"bytelevel-llama3", "llama3", "Hello you!<|eot_id|>"},
                                           std::tuple{"sentencepiece", "llama2", " Hello you! </s>"}}) {
    const text::Tokenizer tokenizer = test::golden_tokenizer(kind);
    const text::Message messages[] = {{"user", "Hi there"}, {"assistant", "Hello you!"}, {"user", "more"}};
    const text::Rendered rendered = text::chat_template_of(tokenizer, name).render(messages, true);
    const text::Labelled labelled = encode_labelled(tokenizer, rendered.text, rendered.trained, false);
    INFO(name);
    CHECK_THAT(" " + trained_text(tokenizer, labelled), test::contains(answer));
    CHECK(trained_text(tokenizer, labelled).size() <= std::string(answer).size());
  }
}

TEST_CASE("GSM8K examples are tokenised and labelled as the golden training set is", "[text][shared][real]") {
  const text::Tokenizer tokenizer =
      text::from_arrays(io::read_tokenizer(io::Gguf::open(test::smollm2())), test::smollm2());
  const text::ChatTemplate chat = text::chat_template_of(tokenizer);
  for (const auto& [golden, source] : {std::pair{"train", "train"}, std::pair{"heldout", "test"}}) {
    const auto questions = test::json_lines(test::shared("data/gsm8k/" + std::string(source) + ".jsonl"));
    const auto rows = test::json_lines(test::shared("golden/smollm2/" + std::string(golden) + ".jsonl"));
    std::size_t next = 0;  // the golden rows are the short examples, in order
    for (const io::Json& question : questions) {
      if (next == rows.size()) {
        break;
      }
      const text::Message messages[] = {{"user", question["question"]}, {"assistant", question["answer"]}};
      const text::Rendered rendered = chat.render(messages, false);
      const text::Labelled labelled = encode_labelled(tokenizer, rendered.text, rendered.trained, false);
      const auto ids = rows[next]["ids"].get<Ids>();
      if (labelled.ids.size() != ids.size() + 1 || !std::equal(ids.begin(), ids.end(), labelled.ids.begin())) {
        continue;
      }
      const auto prompt = rows[next]["prompt"].get<std::ptrdiff_t>();
      std::vector<bool> expected(labelled.ids.size(), true);
      std::fill(expected.begin(), expected.begin() + prompt, false);
      expected.back() = false;  // the line feed behind <|im_end|>
      CHECK(labelled.trained == expected);
      ++next;
    }
    CHECK(next == rows.size());
  }
}
