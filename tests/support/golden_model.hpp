// SPDX-License-Identifier: Apache-2.0
// A golden model and the batch its numbers were computed on, in any precision and on any backend.
#pragma once

#include <string>
#include <vector>

#include <graft/io/safetensors.hpp>
#include <graft/models/attach.hpp>
#include <graft/models/llama_run.hpp>
#include <graft/models/open_checkpoint.hpp>

#include "support/paths.hpp"
#include "support/tensors.hpp"

namespace graft::test {

/// A tensor of a golden file, as doubles.
inline Tensor<double> golden_tensor(const io::Safetensors& file, const std::string& name) {
  const io::TensorRef& tensor = file.at(name);
  Tensor<double> values(tensor.rows(), tensor.cols());
  io::decode_rows(tensor, 0, values.view());
  return values;
}

/// Ragged tokens with their labels, as golden/README.md describes: row t predicts labels[t + 1] of its own sequence.
struct LabelledBatch {
  Ragged ragged;
  std::vector<std::int32_t> tokens;
  std::vector<Index> rows;            // that predict something
  std::vector<std::int32_t> targets;  // what each of them predicts

  [[nodiscard]] double mean() const { return 1.0 / static_cast<double>(rows.size()); }
};

/// Sequences of ids with labels aligned to them; -100 predicts nothing.
inline LabelledBatch labelled_batch(const std::vector<Index>& ids, const std::vector<Index>& labels,
                                    const std::vector<Index>& offsets, const std::vector<Index>& prompts = {}) {
  LabelledBatch batch;
  for (std::size_t i = 0; i + 1 < offsets.size(); ++i) {
    batch.ragged.push(offsets[i + 1] - offsets[i], prompts.empty() ? 1 : prompts[i]);
    for (Index t = offsets[i]; t < offsets[i + 1]; ++t) {
      batch.tokens.push_back(static_cast<std::int32_t>(ids[static_cast<std::size_t>(t)]));
      if (t + 1 < offsets[i + 1] && labels[static_cast<std::size_t>(t) + 1] != -100) {
        batch.rows.push_back(t);
        batch.targets.push_back(static_cast<std::int32_t>(labels[static_cast<std::size_t>(t) + 1]));
      }
    }
  }
  return batch;
}
inline LabelledBatch labelled_batch(const io::Safetensors& io, const std::vector<Index>& prompts = {}) {
  return labelled_batch(io::read_integers(io.at("input_ids")), io::read_integers(io.at("labels")),
                        io::read_integers(io.at("offsets")), prompts);
}

}  // namespace graft::test
