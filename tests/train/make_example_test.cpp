// SPDX-License-Identifier: Apache-2.0
// What templates and masks make of records is proved on whole files, in dataset_test.cpp; here is one record by itself.
#include <graft/train/make_example.hpp>

#include <graft/models/load_tokenizer.hpp>

#include "support/catch.hpp"
#include "support/files.hpp"
#include "support/paths.hpp"

using namespace graft;

namespace {

train::Record pair_of(std::string prompt, std::string completion) {
  train::Record record;
  train::detail::read_pair(std::move(prompt), "", std::move(completion), record);
  return record;
}

}  // namespace

TEST_CASE("a prompt that brings its own beginning gets none from the tokenizer") {
  const text::Tokenizer tokenizer = models::read_tokenizer(test::golden("tokenizer/bytelevel-llama3"), 0);
  train::DatasetOptions options{.tokenizer = &tokenizer, .close = false};
  const train::Record record = pair_of("Hello", " again");
  const train::Example opened = train::make_example(record, options, "f:1");
  options.open = false;
  const train::Example plain = train::make_example(record, options, "f:1");
  const std::vector<std::int32_t> before = train::opening(tokenizer);
  REQUIRE(before.size() == 1);
  CHECK(opened.ids.front() == before.front());
  CHECK(plain.ids == std::vector<std::int32_t>(opened.ids.begin() + 1, opened.ids.end()));
  CHECK(plain.prompt == opened.prompt - 1);
}

TEST_CASE("a record is used whole, is cut, or is left out for one of two reasons") {
  const train::DatasetOptions options{.longest = 3};
  const auto fate = [&](std::vector<std::int32_t> ids, std::vector<std::int32_t> labels) {
    train::Example example{std::move(ids), std::move(labels), 2};
    const train::Fate found = train::fit(example, options);
    CHECK(example.ids.size() <= 3);
    CHECK(example.prompt <= std::ssize(example.ids));
    return found;
  };
  CHECK(fate({1, 2, 3}, {-100, -100, 3}) == train::Fate::whole);
  CHECK(fate({1, 2, 3, 4}, {-100, -100, 3, 4}) == train::Fate::cut);
  CHECK(fate({1, 2, 3, 4}, {-100, -100, -100, 4}) == train::Fate::too_long);
  CHECK(fate({1, 2, 3}, {-100, -100, -100}) == train::Fate::untrained);
  CHECK(fate({1, 2, 3, 4}, {-100, -100, -100, -100}) == train::Fate::untrained);
}

TEST_CASE("mistakes of a record name its place") {
  const Error error = test::error_of([] { (void)train::make_example(pair_of("a", "b"), {}, "data.jsonl:7"); });
  CHECK(error.id() == "train.424");
  CHECK(error.where() == "data.jsonl:7");
}
