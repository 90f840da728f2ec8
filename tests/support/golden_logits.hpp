// SPDX-License-Identifier: Apache-2.0
// How far the logits of an attached stack are from those of a golden file, on the golden batch of llama-gqa.
#pragma once

#include <string>
#include <vector>

#include "support/golden_adapter.hpp"

namespace graft::test {

/// Relative to the largest logit; `prompts` are the lengths that positions are counted in.
template <class AttachedType>
[[nodiscard]] double golden_logits_error(const GoldenLlama& model, AttachedType& attached, const std::string& file,
                                         const std::vector<Index>& prompts = {}) {
  const train::Batch batch = golden_batch(io::Safetensors::open(golden("models/llama-gqa/io.safetensors")), prompts);
  auto* member = &attached;
  models::LlamaRun<GoldenLlama, AttachedType> run;
  run.forward(reference, model, std::span(&member, 1), batch.ragged, batch.tokens, batch.ragged.tokens(), {});
  const std::vector<Index> rows = every_row(batch.ragged.tokens());
  Tensor<double> logits(batch.ragged.tokens(), model.config.vocab);
  run.logits(reference, model, rows, logits.view());
  return relative_error(logits.view(), golden_tensor(io::Safetensors::open(file), "logits").view());
}

}  // namespace graft::test
