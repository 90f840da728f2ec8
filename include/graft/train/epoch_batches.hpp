// SPDX-License-Identifier: Apache-2.0
// EpochBatches: the steps of a run over the records of a file, a function of seed and step alone: any step can be the first.
//
// Order by length is that of the field's `group_by_length`: the epoch's order is cut into groups of 50 batches (a quarter of
// the records, where that is less), each sorted by falling length; the longest of all comes first. Its steps have examples
// of like lengths. A ragged batch holds no padding, so this evens the steps out and saves nothing else.
#pragma once

#include <algorithm>  // iter_swap, max, max_element, min, partial_sort, stable_sort
#include <cstdint>
#include <span>
#include <utility>  // move
#include <vector>

#include <graft/core/random.hpp>
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
};

/// Where a run stands in its data: what a resumed one needs beside the seed.
struct Cursor {
  Index epoch = 0;     ///< from 0
  Index position = 0;  ///< steps of the epoch that are done

  friend bool operator==(const Cursor&, const Cursor&) = default;
};

/// The batches of a file, which outlives them. In memory are the records' numbers, 4 bytes each.
class EpochBatches {
 public:
  /// All examples of the file, or those whose numbers `chosen` lists.
  EpochBatches(const ExampleFile& file, BatchOptions options, std::vector<std::uint32_t> chosen)
      : file_(&file), options_(options), chosen_(std::move(chosen)) {}

  [[nodiscard]] Index examples() const { return std::ssize(chosen_); }  ///< of an epoch
  /// Steps of an epoch; the last has what is left.
  [[nodiscard]] Index per_epoch() const { return ceil_div(examples(), options_.batch_size * options_.grad_accum); }
  /// Where step `step` (from 0) finds its examples.
  [[nodiscard]] Cursor cursor(Index step) const { return {step / per_epoch(), step % per_epoch()}; }

  /// The batches of step `step` (from 0), read on all threads.
  [[nodiscard]] std::vector<Batch> at(Index step) {
    const Cursor cursor = this->cursor(step);
    if (cursor.epoch != epoch_) {
      arrange(cursor.epoch);
    }
    const Index size = options_.batch_size * options_.grad_accum;
    const Index first = cursor.position * size;
    const std::vector<Example> read = examples_at(first, std::min(size, examples() - first));
    std::vector<Batch> parts;
    for (Index i = 0; i < std::ssize(read); ++i) {
      if (i % options_.batch_size == 0) {
        parts.emplace_back();
      }
      parts.back().push(read[static_cast<std::size_t>(i)], 1, options_.inserted);
    }
    return parts;
  }
  /// The batch that needs the most memory: the longest examples together.
  [[nodiscard]] Batch largest() const {
    std::vector<std::uint32_t> longest = chosen_;
    const Index count = std::min(options_.batch_size, examples());
    std::partial_sort(longest.begin(), longest.begin() + count, longest.end(), [&](std::uint32_t a, std::uint32_t b) {
      const Index left = file_->tokens(a), right = file_->tokens(b);
      return left != right ? left > right : a < b;
    });
    longest.resize(static_cast<std::size_t>(count));
    Batch batch;
    for (const Example& example : file_->at(std::span<const std::uint32_t>(longest))) {
      batch.push(example, 1, options_.inserted);
    }
    return batch;
  }

 private:
  /// Streams of epochs stand apart from those that adapters draw from.
  static constexpr std::uint64_t order_stream = std::uint64_t{1} << 48;

  [[nodiscard]] std::vector<Example> examples_at(Index first, Index count) const {
    return file_->at(std::span<const std::uint32_t>(order_).subspan(static_cast<std::size_t>(first),
                                                                    static_cast<std::size_t>(count)));
  }
  void arrange(Index epoch) {
    order_ = chosen_;
    epoch_ = epoch;
    if (options_.shuffled) {
      shuffle(order_, Random(options_.seed, order_stream + static_cast<std::uint64_t>(epoch)));
    }
    if (!options_.group_by_length) {
      return;
    }
    const auto shorter = [&](std::uint32_t a, std::uint32_t b) { return file_->tokens(a) < file_->tokens(b); };
    const auto longer = [&](std::uint32_t a, std::uint32_t b) { return shorter(b, a); };
    const Index batches = std::max<Index>(1, std::min<Index>(50, examples() / (4 * options_.batch_size)));
    const Index group = batches * options_.batch_size;
    for (Index first = 0; first < examples(); first += group) {
      std::stable_sort(order_.begin() + first, order_.begin() + std::min(examples(), first + group), longer);
    }
    std::iter_swap(order_.begin(), std::max_element(order_.begin(), order_.end(), shorter));
  }

  const ExampleFile* file_;
  BatchOptions options_;
  std::vector<std::uint32_t> chosen_;
  std::vector<std::uint32_t> order_;  // of the epoch that is under way
  Index epoch_ = -1;
};

}  // namespace graft::train
