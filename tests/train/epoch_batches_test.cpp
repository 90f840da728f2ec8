// SPDX-License-Identifier: Apache-2.0
#include <graft/train/epoch_batches.hpp>

#include <algorithm>
#include <vector>

#include "support/catch.hpp"
#include "support/files.hpp"

using namespace graft;

namespace {

/// Example i is 2 + i * 7 % 23 tokens long and begins with token i.
std::string counted_rows(Index count) {
  std::string rows;
  for (Index i = 0; i < count; ++i) {
    rows += "{\"input_ids\": [" + std::to_string(i);
    for (Index t = 1; t < 2 + i * 7 % 23; ++t) {
      rows += ", 1";
    }
    rows += "]}\n";
  }
  return rows;
}

struct Counted {
  test::TempFolder folder;
  train::ExampleFile file;
  explicit Counted(Index count) : file(folder.write("data.jsonl", counted_rows(count)), {}) {}
};

/// The first tokens of the examples of each batch of a step.
std::vector<std::vector<std::int32_t>> firsts(const std::vector<train::Batch>& parts) {
  std::vector<std::vector<std::int32_t>> all;
  for (const train::Batch& batch : parts) {
    auto& own = all.emplace_back();
    for (Index i = 0; i < batch.ragged.sequences(); ++i) {
      own.push_back(batch.tokens[static_cast<std::size_t>(batch.ragged.first_token(i))]);
    }
  }
  return all;
}

std::vector<std::int32_t> flat(const std::vector<std::vector<std::int32_t>>& parts) {
  std::vector<std::int32_t> all;
  for (const auto& part : parts) {
    all.insert(all.end(), part.begin(), part.end());
  }
  return all;
}

}  // namespace

TEST_CASE("an epoch visits every example once, the last step with what is left, in an order of its own") {
  const Counted counted(23);
  train::EpochBatches batches(counted.file, {.batch_size = 3, .grad_accum = 2, .seed = 5}, counted.file.kept());
  REQUIRE(batches.per_epoch() == 4);
  std::vector<std::vector<std::int32_t>> epochs(2);
  for (Index step = 0; step < 8; ++step) {
    const auto parts = firsts(batches.at(step));
    CHECK(parts.size() == 2);
    CHECK(flat(parts).size() == (step % 4 == 3 ? 5u : 6u));
    const auto found = flat(parts);
    auto& epoch = epochs[static_cast<std::size_t>(step / 4)];
    epoch.insert(epoch.end(), found.begin(), found.end());
  }
  CHECK(epochs[0] != epochs[1]);
  for (auto& epoch : epochs) {
    std::sort(epoch.begin(), epoch.end());
    for (std::size_t i = 0; i < 23; ++i) {
      CHECK(epoch.at(i) == static_cast<std::int32_t>(i));
    }
  }
}

TEST_CASE("any step can be the first: a resumed run sees the batches of an undisturbed one") {
  const Counted counted(50);
  for (const bool grouped : {false, true}) {
    const train::BatchOptions options{.batch_size = 4, .grad_accum = 1, .group_by_length = grouped, .seed = 9};
    train::EpochBatches whole(counted.file, options, counted.file.kept());
    std::vector<std::vector<std::vector<std::int32_t>>> steps;
    for (Index step = 0; step < 3 * whole.per_epoch(); ++step) {
      steps.push_back(firsts(whole.at(step)));
    }
    for (const Index step : {30, 5, 13, 0}) {
      train::EpochBatches resumed(counted.file, options, counted.file.kept());
      CHECK(firsts(resumed.at(step)) == steps[static_cast<std::size_t>(step)]);
      CHECK(resumed.cursor(step) == train::Cursor{step / 13, step % 13});
    }
  }
}

TEST_CASE("by length, the longest example comes first and the steps of an epoch hold examples of like lengths") {
  const Counted counted(400);
  train::EpochBatches batches(counted.file, {.batch_size = 4, .group_by_length = true, .seed = 2}, counted.file.kept());
  const auto spread = [](const train::Batch& batch) {
    Index least = batch.ragged.length(0), most = least;
    for (Index i = 1; i < batch.ragged.sequences(); ++i) {
      least = std::min(least, batch.ragged.length(i));
      most = std::max(most, batch.ragged.length(i));
    }
    return most - least;
  };
  CHECK(batches.at(0).front().ragged.length(0) == 24);
  Index grouped = 0, mixed = 0;
  train::EpochBatches other(counted.file, {.batch_size = 4, .seed = 2}, counted.file.kept());
  std::vector<std::int32_t> seen;
  for (Index step = 0; step < batches.per_epoch(); ++step) {
    grouped += spread(batches.at(step).front());
    mixed += spread(other.at(step).front());
    const auto found = flat(firsts(batches.at(step)));
    seen.insert(seen.end(), found.begin(), found.end());
  }
  CHECK(grouped * 4 < mixed);
  std::sort(seen.begin(), seen.end());
  CHECK(std::adjacent_find(seen.begin(), seen.end()) == seen.end());
  CHECK(seen.size() == 400);
}

TEST_CASE("the file's order, chosen records and placeholders are as asked, and the largest batch has the longest") {
  const Counted counted(30);
  train::EpochBatches batches(counted.file, {.batch_size = 2, .inserted = 3, .shuffled = false}, {4, 8, 15, 16, 23});
  CHECK(firsts(batches.at(0)) == std::vector<std::vector<std::int32_t>>{{4, 8}});
  CHECK(firsts(batches.at(2)) == std::vector<std::vector<std::int32_t>>{{23}});
  CHECK(batches.at(0).front().ragged.length(0) == 3 + 2 + 4 * 7 % 23);
  CHECK(firsts({batches.largest()}) == std::vector<std::vector<std::int32_t>>{{16, 15}});
}

TEST_CASE("shares of a step are its batches, cut in their order; a small batch leaves some empty") {
  const Counted counted(21);  // the last step has 5 examples, in batches of 4 and 1
  const train::BatchOptions whole{.batch_size = 4, .grad_accum = 2, .seed = 5};
  train::EpochBatches all(counted.file, whole, counted.file.kept());
  std::vector<train::EpochBatches> shares;
  for (Index share = 0; share < 3; ++share) {
    train::BatchOptions options = whole;
    options.share = share;
    options.shares = 3;
    shares.emplace_back(counted.file, options, counted.file.kept());
  }
  for (Index step = 0; step < 6; ++step) {
    CAPTURE(step);
    std::vector<std::vector<std::int32_t>> joined;
    std::vector<std::size_t> next(shares.size(), 0);
    std::vector<std::vector<std::vector<std::int32_t>>> parts;
    for (train::EpochBatches& share : shares) {
      parts.push_back(firsts(share.at(step)));
    }
    for (const auto& batch : firsts(all.at(step))) {
      auto& own = joined.emplace_back();
      for (std::size_t share = 0; share < shares.size(); ++share) {
        const auto count = std::ssize(batch);
        const auto third = static_cast<Index>(share);
        if (count * (third + 1) / 3 > count * third / 3) {
          const auto& part = parts[share].at(next[share]++);
          CHECK(std::ssize(part) == count * (third + 1) / 3 - count * third / 3);
          own.insert(own.end(), part.begin(), part.end());
        }
      }
      CHECK(own == batch);
    }
    for (std::size_t share = 0; share < shares.size(); ++share) {
      CHECK(parts[share].size() == next[share]);
    }
  }
  CHECK(shares[0].at(2).size() == 1);
  CHECK(shares[2].at(2).size() == 2);
  CHECK(shares[1].largest().ragged.sequences() == 2);
}
