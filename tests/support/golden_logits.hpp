// SPDX-License-Identifier: Apache-2.0
// Logits on the golden batch of a model, alone or with an attached stack, and how far they are from golden ones.
#pragma once

#include <algorithm>  // fill
#include <string>
#include <vector>

#include <graft/models/open_checkpoint.hpp>

#include "support/golden_adapter.hpp"

namespace graft::test {

/// Relative to the largest logit of `golden_file`; `prompts` are the lengths that positions are counted in.
template <class AttachedType>
[[nodiscard]] double golden_logits_error(const GoldenLlama& model, AttachedType& attached,
                                         const io::Safetensors& golden_file, const std::vector<Index>& prompts = {},
                                         const std::string& golden_model = "llama-gqa") {
  const train::Batch batch = golden_batch(io::Safetensors::open(golden("models/" + golden_model + "/io.safetensors")),
                                          prompts, attached.inserted());
  auto* member = &attached;
  models::LlamaRun<GoldenLlama, AttachedType> run;
  run.forward(reference, model, std::span(&member, 1), batch.ragged, batch.tokens, 1);
  const std::vector<Index> rows = token_rows(batch.ragged);
  Tensor<double> logits(std::ssize(rows), model.config.vocab);
  run.logits(reference, model, rows, logits.view());
  return relative_error(logits.view(), golden_tensor(golden_file, "logits").view());
}

/// The logits of a model file or folder alone. `AttachedType` is one that the test runs anyway.
template <class AttachedType>
[[nodiscard]] Tensor<double> logits_alone(const std::string& path, const std::string& golden_model) {
  const auto model = GoldenLlama::load(models::open_checkpoint(path));
  const train::Batch batch = golden_batch(io::Safetensors::open(golden("models/" + golden_model + "/io.safetensors")));
  models::LlamaRun<GoldenLlama, AttachedType> run;
  Ragged ragged = batch.ragged;
  std::fill(ragged.adapter.begin(), ragged.adapter.end(), 0);
  run.forward(reference, model, {}, ragged, batch.tokens, ragged.tokens());
  Tensor<double> logits(ragged.tokens(), model.config.vocab);
  run.logits(reference, model, every_row(ragged.tokens()), logits.view());
  return logits;
}

}  // namespace graft::test
