// SPDX-License-Identifier: Apache-2.0
// EpochBatches: the steps of a run over the records of a file, a function of seed and step alone: any step can be the first.
//
// Order by length is that of the field's `group_by_length`: the epoch's order is cut into groups of 50 batches (a quarter of
// the records, where that is less), each sorted by falling length; the longest of all comes first. Its steps have examples
// of like lengths. A ragged batch holds no padding, so this evens the steps out and saves nothing else.
#pragma once

#include <algorithm>  // max, min, stable_sort, upper_bound
#include <cstdint>
#include <utility>  // move
#include <vector>

#include <graft/core/random.hpp>
#include <graft/io/spilled_list.hpp>
#include <graft/train/batch.hpp>
#include <graft/train/dataset.hpp>
#include <graft/train/epoch.hpp>

namespace graft::train {

/// How a run goes through its records.
struct BatchOptions {
  Index batch_size = 8;          ///< examples in a batch
  Index grad_accum = 1;          ///< batches in a step
  Index inserted = 0;            ///< placeholders before each example (Attached::inserted)
  bool shuffled = true;          ///< else in the order of the file
  bool group_by_length = false;  ///< examples of like lengths stand together
  std::uint64_t seed = 0;        ///< of the order
  Index share = 0;               ///< which part of each batch is given out, where several processes train together
  Index shares = 1;              ///< into how many parts a batch is cut
};

/// Where a run stands in its data: what a resumed one needs beside the seed.
struct Cursor {
  Index epoch = 0;     ///< from 0
  Index position = 0;  ///< steps of the epoch that are done

  friend bool operator==(const Cursor&, const Cursor&) = default;
};

/// A record by its number, and the tokens of its example.
struct Length {
  Index tokens = 0;          ///< 0: it is left out
  std::uint32_t number = 0;  ///< of the record
};

/// The batch of `size` records of `list` that needs the most memory: the longest examples together, each after `inserted`
/// placeholders.
[[nodiscard]] inline Batch largest_batch(const ExampleFile& file, const io::SpilledList<std::uint32_t>& list,
                                         Index size, Index inserted) {
  const auto longer = [](const Length& a, const Length& b) {
    return a.tokens != b.tokens ? a.tokens > b.tokens : a.number < b.number;
  };
  std::vector<Length> longest;  // at most `size`, the longest first
  list.for_each([&](std::uint32_t number) {
    const Length found{file.tokens(number), number};
    if (std::ssize(longest) < size || longer(found, longest.back())) {
      longest.insert(std::upper_bound(longest.begin(), longest.end(), found, longer), found);
      longest.resize(static_cast<std::size_t>(std::min(size, std::ssize(longest))));
    }
  });
  Batch batch;
  for (const Length& found : longest) {
    batch.push(file.at(Index{found.number}), 1, inserted);
  }
  return batch;
}

/// The batches of a file, which outlives them. The order of an epoch lies where the file's index does.
class EpochBatches {
 public:
  /// All examples of the file, or those whose numbers `chosen` lists.
  EpochBatches(const ExampleFile& file, BatchOptions options, io::SpilledList<std::uint32_t> chosen)
      : file_(&file), options_(options), chosen_(std::move(chosen)) {}

  [[nodiscard]] Index examples() const { return chosen_.size(); }  ///< of an epoch
  /// Steps of an epoch; the last has what is left.
  [[nodiscard]] Index per_epoch() const { return ceil_div(examples(), options_.batch_size * options_.grad_accum); }
  /// Where step `step` (from 0) finds its examples.
  [[nodiscard]] Cursor cursor(Index step) const { return {step / per_epoch(), step % per_epoch()}; }

  /// The batches of step `step` (from 0), read on all threads: of each, this share's examples; none, where a batch has fewer than
  /// there are shares. The share alone is read.
  [[nodiscard]] std::vector<Batch> at(Index step) {
    const Cursor cursor = this->cursor(step);
    if (cursor.epoch != epoch_) {
      arrange(cursor.epoch);
    }
    const Index size = options_.batch_size * options_.grad_accum;
    const Index first = cursor.position * size;
    const std::vector<std::uint32_t> step_order = order_.slice(first, size);
    std::vector<std::uint32_t> mine;
    std::vector<Index> counts;  // by batch
    for (Index begin = 0; begin < std::ssize(step_order); begin += options_.batch_size) {
      const Index count = std::min(options_.batch_size, std::ssize(step_order) - begin);
      const auto from = step_order.begin() + begin + count * options_.share / options_.shares;
      const auto to = step_order.begin() + begin + count * (options_.share + 1) / options_.shares;
      mine.insert(mine.end(), from, to);
      counts.push_back(to - from);
    }
    const std::vector<Example> read = file_->at(mine);
    auto next = read.begin();
    std::vector<Batch> parts;
    for (const Index count : counts) {
      if (count > 0) {
        Batch& part = parts.emplace_back();
        for (Index i = 0; i < count; ++i) {
          part.push(*next++, 1, options_.inserted);
        }
      }
    }
    return parts;
  }
  /// The batch that needs the most memory, of what a share has at most.
  [[nodiscard]] Batch largest() const {
    return largest_batch(*file_, chosen_, ceil_div(options_.batch_size, options_.shares), options_.inserted);
  }

 private:
  /// Streams of epochs stand apart from those that adapters draw from.
  static constexpr std::uint64_t order_stream = std::uint64_t{1} << 48;

  void arrange(Index epoch) {
    order_ = {};
    chosen_.for_each([&](std::uint32_t number) { order_.push_back(number); });
    epoch_ = epoch;
    if (options_.shuffled) {
      shuffle(examples(), Random(options_.seed, order_stream + static_cast<std::uint64_t>(epoch)),
              [&](Index i, Index j) { order_.swap(i, j); });
    }
    if (options_.group_by_length) {
      sort_groups();
    }
  }
  void sort_groups() {
    const Index batches = std::max<Index>(1, std::min<Index>(50, examples() / (4 * options_.batch_size)));
    const Index size = batches * options_.batch_size;
    const auto longer = [](const Length& a, const Length& b) { return a.tokens > b.tokens; };
    io::SpilledList<std::uint32_t> sorted;
    std::vector<Length> group;
    Index longest = 0, tokens = 0;  // the first of the longest, and its tokens
    for (Index first = 0; first < examples(); first += size) {
      group.clear();
      for (const std::uint32_t number : order_.slice(first, size)) {
        group.push_back({file_->tokens(number), number});
      }
      std::stable_sort(group.begin(), group.end(), longer);
      if (group.front().tokens > tokens) {
        longest = first;
        tokens = group.front().tokens;
      }
      for (const Length& one : group) {
        sorted.push_back(one.number);
      }
    }
    order_ = std::move(sorted);
    order_.swap(0, longest);
  }

  const ExampleFile* file_;
  BatchOptions options_;
  io::SpilledList<std::uint32_t> chosen_;
  io::SpilledList<std::uint32_t> order_;  // of the epoch that is under way
  Index epoch_ = -1;
};

}  // namespace graft::train
