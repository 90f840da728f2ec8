// SPDX-License-Identifier: Apache-2.0
// Example: token ids with a label each; Batch: examples one after another as a ragged batch, with the rows that predict.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <graft/core/ragged.hpp>

namespace graft::train {

/// The label of a token that is not trained.
inline constexpr std::int32_t ignored = -100;

/// labels[t] is ids[t] where token t is trained, else `ignored`; label 0 is never predicted. `prompt` counts the tokens
/// before the first trained one.
struct Example {
  std::vector<std::int32_t> ids;            ///< token ids
  std::vector<std::int32_t> labels;         ///< one for every id
  Index prompt = 0;                         ///< tokens before the first trained one
  std::uint64_t subspace = whole_subspace;  ///< rows of R that edit it (SubLoReFT)

  /// Number of labels that something predicts.
  [[nodiscard]] Index labelled() const {
    Index count = 0;
    for (std::size_t t = 1; t < labels.size(); ++t) {
      count += labels[t] != ignored ? 1 : 0;
    }
    return count;
  }
};

/// Examples as rows. rows[i] predicts targets[i], the label of the token after it.
struct Batch {
  Ragged ragged;                      ///< where the examples stand
  std::vector<std::int32_t> tokens;   ///< ids, row by row
  std::vector<Index> rows;            ///< rising
  std::vector<std::int32_t> targets;  ///< one for every entry of rows

  [[nodiscard]] Index labelled() const { return static_cast<Index>(rows.size()); }  ///< tokens that the loss counts

  /// Appends an example whose rows go through adapter `adapter` of the bank, after as many placeholders as that inserts
  /// (Attached::inserted). Placeholders are token 0 to whoever does not fill them; none is labelled, or predicts. Of an
  /// example whose first `known` tokens stand in a store, with the placeholders, only the rest becomes rows.
  void push(const Example& example, Index adapter = 1, Index inserted = 0, Index known = 0) {
    require(example.ids.size() == example.labels.size(), "shape.145",
            "Batch: an example needs a label for every token");
    const Index start = known > 0 ? inserted + known : 0;
    const Index first = ragged.tokens() + inserted - start;  // the row of token 0, were it here
    ragged.push(static_cast<Index>(example.ids.size()) + inserted - start, example.prompt, start, adapter, inserted);
    ragged.carry(example.subspace);
    tokens.insert(tokens.end(), static_cast<std::size_t>(known > 0 ? 0 : inserted), 0);
    tokens.insert(tokens.end(), example.ids.begin() + known, example.ids.end());
    for (std::size_t t = static_cast<std::size_t>(known) + 1; t < example.labels.size(); ++t) {
      if (example.labels[t] != ignored) {
        rows.push_back(first + static_cast<Index>(t) - 1);
        targets.push_back(example.labels[t]);
      }
    }
  }
};

/// A batch of the listed examples, each after `inserted` placeholders.
[[nodiscard]] inline Batch make_batch(std::span<const Example> examples, std::span<const Index> chosen,
                                      Index inserted = 0) {
  Batch batch;
  for (const Index i : chosen) {
    batch.push(examples[static_cast<std::size_t>(i)], 1, inserted);
  }
  return batch;
}

/// Batch number `step` (from 0) of `size` examples as they come, the first again after the last; each after `inserted`
/// placeholders.
[[nodiscard]] inline Batch batch_at(std::span<const Example> examples, Index step, Index size, Index inserted = 0) {
  Batch batch;
  for (Index i = step * size; i < (step + 1) * size; ++i) {
    batch.push(examples[static_cast<std::size_t>(i) % examples.size()], 1, inserted);
  }
  return batch;
}

}  // namespace graft::train
