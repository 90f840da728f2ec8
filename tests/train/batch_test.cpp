// SPDX-License-Identifier: Apache-2.0
#include <graft/train/batch.hpp>

#include "support/catch.hpp"
#include "support/files.hpp"

using namespace graft;
using train::ignored;

TEST_CASE("row t predicts the label of token t + 1 of its own sequence, and the first label is never predicted") {
  train::Batch batch;
  batch.push({{5, 6, 7}, {5, ignored, 7}, 2});
  batch.push({{8, 9}, {8, 9}, 1}, 3);
  CHECK(batch.tokens == std::vector<std::int32_t>{5, 6, 7, 8, 9});
  CHECK(batch.rows == std::vector<Index>{1, 3});
  CHECK(batch.targets == std::vector<std::int32_t>{7, 9});
  CHECK(batch.labelled() == 2);
  CHECK(batch.ragged.offsets == std::vector<Index>{0, 3, 5});
  CHECK(batch.ragged.prompt == std::vector<Index>{2, 1});
  CHECK(batch.ragged.adapter == std::vector<Index>{1, 3});
}

TEST_CASE("placeholders stand before the tokens, are token 0, and predict nothing") {
  train::Batch batch;
  batch.push({{5, 6, 7}, {5, 6, 7}, 1}, 1, 2);
  batch.push({.ids = {8, 9}, .labels = {8, 9}, .prompt = 1, .subspace = 0b10});
  CHECK(batch.tokens == std::vector<std::int32_t>{0, 0, 5, 6, 7, 8, 9});
  CHECK(batch.rows == std::vector<Index>{2, 3, 5});
  CHECK(batch.targets == std::vector<std::int32_t>{6, 7, 9});
  CHECK(batch.ragged.offsets == std::vector<Index>{0, 5, 7});
  CHECK(batch.ragged.prompt == std::vector<Index>{1, 1});
  CHECK(batch.ragged.inserted == std::vector<Index>{2, 0});
  CHECK(batch.ragged.subspace == std::vector<std::uint64_t>{whole_subspace, 0b10});
  const std::vector<train::Example> examples = {{{1, 2}, {1, 2}, 1}};
  const Index chosen[] = {0};
  CHECK(train::make_batch(examples, chosen, 1).tokens == std::vector<std::int32_t>{0, 1, 2});
  CHECK(train::batch_at(examples, 0, 2, 1).tokens == std::vector<std::int32_t>{0, 1, 2, 0, 1, 2});
}

TEST_CASE("an example counts the labels that something predicts") {
  CHECK(train::Example{{1, 2, 3}, {1, ignored, 3}, 2}.labelled() == 1);
  CHECK(train::Example{{1}, {1}, 0}.labelled() == 0);
}

TEST_CASE("a batch takes the examples that were chosen, in that order") {
  const std::vector<train::Example> examples = {{{1, 2}, {1, 2}, 1}, {{3, 4, 5}, {3, 4, 5}, 1}, {{6}, {6}, 1}};
  const Index chosen[] = {2, 0};
  const train::Batch batch = train::make_batch(examples, chosen);
  CHECK(batch.tokens == std::vector<std::int32_t>{6, 1, 2});
}

TEST_CASE("batch after batch takes the examples as they come, and begins again after the last") {
  const std::vector<train::Example> examples = {{{1, 2}, {1, 2}, 1}, {{3, 4, 5}, {3, 4, 5}, 1}, {{6}, {6}, 1}};
  CHECK(train::batch_at(examples, 0, 2).tokens == std::vector<std::int32_t>{1, 2, 3, 4, 5});
  CHECK(train::batch_at(examples, 1, 2).tokens == std::vector<std::int32_t>{6, 1, 2});
}

TEST_CASE("an example whose labels and tokens differ in number is refused") {
  train::Batch batch;
  CHECK(test::error_of([&] { batch.push({{1, 2}, {1}, 1}); }).id() == "shape.145");
}
