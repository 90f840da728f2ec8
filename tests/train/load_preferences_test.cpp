// SPDX-License-Identifier: Apache-2.0
#include <graft/train/load_preferences.hpp>

#include <graft/models/load_tokenizer.hpp>

#include "support/catch.hpp"
#include "support/files.hpp"
#include "support/paths.hpp"

using namespace graft;

namespace {

struct PreferenceReader {
  text::Tokenizer tokenizer = models::read_tokenizer(test::golden("tokenizer/bytelevel-llama3"), 0);
  text::ChatTemplate chat{text::ChatStyle::llama3, "", "<|begin_of_text|>", "<|end_of_text|>"};
  test::TempFolder folder;

  [[nodiscard]] train::Preferences load(const std::string& lines, train::DatasetOptions options) const {
    return train::load_preferences(folder.write("pairs.jsonl", lines), options);
  }
  [[nodiscard]] std::string trained(const train::Example& example) const {
    std::vector<std::int32_t> ids;
    for (std::size_t t = 0; t < example.ids.size(); ++t) {
      if (example.labels[t] != train::ignored) {
        ids.push_back(example.ids[t]);
      }
    }
    return tokenizer.decode(ids);
  }
};

}  // namespace

TEST_CASE("three texts are a prompt with two answers, each as it would be alone") {
  const PreferenceReader reader;
  const train::Preferences data = reader.load(R"({"prompt": "Hello", "chosen": " again", "rejected": " world, hello"})"
                                              "\n",
                                              {.tokenizer = &reader.tokenizer, .close = false});
  REQUIRE(data.pairs.size() == 1);
  const train::Preference& pair = data.pairs[0];
  CHECK(reader.trained(pair.chosen) == " again");
  CHECK(reader.trained(pair.rejected) == " world, hello");
  CHECK(pair.chosen.prompt == pair.rejected.prompt);
  CHECK(pair.chosen_reference == 0);
}

TEST_CASE("of conversations only the answers are trained, not what an assistant says in the prompt") {
  const PreferenceReader reader;
  const std::string turns =
      R"({"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yes?"}, {"role": "user", "content": "Go on"})";
  const std::string good = R"({"role": "assistant", "content": "I will"})";
  const std::string bad = R"({"role": "assistant", "content": "No"})";
  const std::string apart =
      R"({"prompt": [)" + turns + R"(], "chosen": [)" + good + R"(], "rejected": [)" + bad + "]}\n";
  const std::string whole =
      R"({"chosen": [)" + turns + ", " + good + R"(], "rejected": [)" + turns + ", " + bad + "]}\n";
  const std::string named = R"({"prompt": "Hi", )" + whole.substr(1);  // as UltraFeedback has it: the list says it all
  const train::Preferences data =
      reader.load(apart + whole + named, {.tokenizer = &reader.tokenizer, .chat = &reader.chat});
  REQUIRE(data.pairs.size() == 3);
  for (const train::Preference& pair : data.pairs) {
    CHECK(pair.chosen.ids == data.pairs[0].chosen.ids);
    CHECK(pair.rejected.labels == data.pairs[0].rejected.labels);
    CHECK(reader.trained(pair.chosen).starts_with("I will"));
    CHECK(reader.trained(pair.rejected).starts_with("No"));
    CHECK(pair.chosen.prompt == pair.rejected.prompt);
    CHECK(pair.chosen.prompt > 10);
  }
}

TEST_CASE("pairs that nothing can be learnt from are left out, and counted") {
  const PreferenceReader reader;
  const std::string lines = R"({"prompt": "a", "chosen": " b", "rejected": " b"})"
                            "\n"
                            R"({"prompt": "a", "chosen": "", "rejected": " b"})"
                            "\n"
                            R"({"prompt": "a b c d e f g h", "chosen": " i", "rejected": " j"})"
                            "\n"
                            R"({"prompt": "a", "chosen": " b c d e f", "rejected": " b"})"
                            "\n"
                            R"({"prompt": "a", "chosen": " b", "rejected": " c"})"
                            "\n";
  const train::Preferences data = reader.load(lines, {.tokenizer = &reader.tokenizer, .longest = 5, .close = false});
  CHECK(data.records == 5);
  CHECK(data.undecided == 2);
  CHECK(data.too_long == 1);
  CHECK(data.cut == 1);
  CHECK(data.pairs.size() == 2);
  const std::string same = R"({"prompt": "a", "chosen": " b", "rejected": " b"})";
  const Error none = test::error_of([&] { (void)reader.load(same, {.tokenizer = &reader.tokenizer}); });
  CHECK(none.id() == "train.427");
  CHECK(test::error_of([&] { (void)reader.load("\n", {.tokenizer = &reader.tokenizer}); }).id() == "train.426");
}

TEST_CASE("a record that is no pair is refused with its line and the keys that are expected") {
  const PreferenceReader reader;
  for (const char* record : {R"({"prompt": "a", "completion": " b"})", R"({"chosen": "a b", "rejected": "a c"})",
                             R"({"prompt": "a", "chosen": " b", "rejected": [{"role": "user", "content": "c"}]})"}) {
    const std::string first = R"({"prompt": "a", "chosen": " b", "rejected": " c"})";
    const Error error =
        test::error_of([&] { (void)reader.load(first + "\n" + record, {.tokenizer = &reader.tokenizer}); });
    CHECK(error.id() == "train.429");
    CHECK_THAT(error.what(), test::contains("chosen, rejected"));
    CHECK(error.where().ends_with("pairs.jsonl:2"));
  }
}
