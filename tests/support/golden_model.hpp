// SPDX-License-Identifier: Apache-2.0
// A golden model and the batch its numbers were computed on, in any precision and on any backend.
#pragma once

#include <numeric>  // iota
#include <string>
#include <vector>

#include <graft/io/safetensors.hpp>
#include <graft/models/attach.hpp>
#include <graft/models/llama_run.hpp>
#include <graft/models/open_checkpoint.hpp>
#include <graft/train/batch.hpp>

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

/// The batch of a golden io.safetensors: sequences of ids with the labels aligned to them, as golden/README.md describes.
inline train::Batch golden_batch(const io::Safetensors& io, const std::vector<Index>& prompts = {},
                                 Index inserted = 0) {
  const std::vector<Index> ids = io::read_integers(io.at("input_ids"));
  const std::vector<Index> labels = io::read_integers(io.at("labels"));
  const std::vector<Index> offsets = io::read_integers(io.at("offsets"));
  train::Batch batch;
  for (std::size_t i = 0; i + 1 < offsets.size(); ++i) {
    train::Example example;
    example.ids.assign(ids.begin() + offsets[i], ids.begin() + offsets[i + 1]);
    example.labels.assign(labels.begin() + offsets[i], labels.begin() + offsets[i + 1]);
    example.prompt = prompts.empty() ? 1 : prompts[i];
    batch.push(example, 1, inserted);
  }
  return batch;
}

/// 0, 1, ... count - 1: every row of a batch, in the list that logits() takes.
inline std::vector<Index> every_row(Index count) {
  std::vector<Index> rows(static_cast<std::size_t>(count));
  std::iota(rows.begin(), rows.end(), Index{0});
  return rows;
}

/// The rows of the tokens of a batch: all but its placeholders.
inline std::vector<Index> token_rows(const Ragged& batch) {
  std::vector<Index> rows;
  for (Index i = 0; i < batch.sequences(); ++i) {
    for (Index row = batch.first_token(i); row < batch.begin(i + 1); ++row) {
      rows.push_back(row);
    }
  }
  return rows;
}

/// The factor that makes the mean of a batch's summed loss.
inline double mean_of(const train::Batch& batch) {
  return 1.0 / static_cast<double>(batch.labelled());
}

}  // namespace graft::test
