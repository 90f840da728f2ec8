// SPDX-License-Identifier: Apache-2.0
// objective: what a training step lowers, as a mean over terms. TokenMean is the common one; train/dpo.hpp another.
#pragma once

#include <concepts>

#include <graft/train/batch.hpp>

namespace graft::train {

/// A step is begin(), then loss() of each of its batches between a forward and a backward. `terms` is what the mean counts.
/// loss(be, model, run, batch, mean) returns the sum over the terms, and leaves `mean` times its gradient in the run.
template <class O>
concept objective = std::derived_from<typename O::Batch, Batch> && requires(O& o, const typename O::Batch& batch) {
  { o.terms(batch) } -> std::same_as<Index>;
  o.begin();
};

/// The negative log-likelihood of the labelled tokens.
struct TokenMean {
  using Batch = train::Batch;  ///< examples

  void begin() const {}                                                             ///< it remembers nothing
  [[nodiscard]] Index terms(const Batch& batch) const { return batch.labelled(); }  ///< every label counts alike
  /// As the contract says.
  template <class Model, class Run>
  [[nodiscard]] double loss(const typename Model::Backend& be, const Model& model, Run& run, const Batch& batch,
                            double mean) const {
    return run.loss(be, model, batch.rows, batch.targets, static_cast<typename Model::C>(mean));
  }
};

static_assert(objective<TokenMean>);

}  // namespace graft::train
