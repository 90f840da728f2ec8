// SPDX-License-Identifier: Apache-2.0
// Preference: two answers to one prompt, the better one named. PreferenceBatch: several, as sequences of one ragged batch.
#pragma once

#include <span>
#include <vector>

#include <graft/train/batch.hpp>

namespace graft::train {

/// Only the answers carry labels. The references are log-likelihoods of the answers, of which training is told not to stray
/// far (train/dpo.hpp); a run computes them once.
struct Preference {
  Example chosen;                 ///< prompt and the better answer
  Example rejected;               ///< the same prompt and the worse answer
  double chosen_reference = 0;    ///< log-likelihood of the better answer under the reference model
  double rejected_reference = 0;  ///< and of the worse
};

/// Sequence 2i is the chosen answer of pair i, sequence 2i + 1 the rejected one.
struct PreferenceBatch : Batch {
  std::vector<double> references;  ///< one for every sequence

  [[nodiscard]] Index pairs() const { return ragged.sequences() / 2; }  ///< how many there are

  /// Appends both answers; `adapter` and `inserted` as in Batch::push.
  void push(const Preference& pair, Index adapter = 1, Index inserted = 0) {
    Batch::push(pair.chosen, adapter, inserted);
    Batch::push(pair.rejected, adapter, inserted);
    references.push_back(pair.chosen_reference);
    references.push_back(pair.rejected_reference);
  }
};

/// Batch number `step` (from 0) of `size` pairs as they come, the first again after the last; each answer after `inserted`
/// placeholders.
[[nodiscard]] inline PreferenceBatch batch_at(std::span<const Preference> pairs, Index step, Index size,
                                              Index inserted = 0) {
  PreferenceBatch batch;
  for (Index i = step * size; i < (step + 1) * size; ++i) {
    batch.push(pairs[static_cast<std::size_t>(i) % pairs.size()], 1, inserted);
  }
  return batch;
}

}  // namespace graft::train
