// SPDX-License-Identifier: Apache-2.0
#include <graft/train/preference.hpp>

#include "support/catch.hpp"

using namespace graft;
using train::ignored;

namespace {

const std::vector<train::Preference> two_pairs = {
    {{{5, 6, 7}, {ignored, 6, 7}, 1}, {{5, 8}, {ignored, 8}, 1}, -1.5, -2.5},
    {{{3, 1}, {ignored, 1}, 1}, {{3, 2}, {ignored, 2}, 1}, -0.5, -0.25}};

}  // namespace

TEST_CASE("the answers of a pair stand one after the other, the chosen one first, each with its reference") {
  train::PreferenceBatch batch;
  batch.push(two_pairs[0], 2, 1);
  CHECK(batch.pairs() == 1);
  CHECK(batch.tokens == std::vector<std::int32_t>{0, 5, 6, 7, 0, 5, 8});
  CHECK(batch.rows == std::vector<Index>{1, 2, 5});
  CHECK(batch.targets == std::vector<std::int32_t>{6, 7, 8});
  CHECK(batch.ragged.adapter == std::vector<Index>{2, 2});
  CHECK(batch.ragged.inserted == std::vector<Index>{1, 1});
  CHECK(batch.references == std::vector<double>{-1.5, -2.5});
}

TEST_CASE("batches of pairs take them as they come, and begin again after the last") {
  const train::PreferenceBatch batch = train::batch_at(two_pairs, 1, 3);  // pairs 3, 4, 5 are 1, 0, 1
  CHECK(batch.pairs() == 3);
  CHECK(batch.tokens == std::vector<std::int32_t>{3, 1, 3, 2, 5, 6, 7, 5, 8, 3, 1, 3, 2});
  CHECK(batch.references == std::vector<double>{-0.5, -0.25, -1.5, -2.5, -0.5, -0.25});
}
