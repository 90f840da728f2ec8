// SPDX-License-Identifier: Apache-2.0
// KeyStore: the keys and values of earlier tokens, layer by layer, so that generation reads each token once.
#pragma once

#include <vector>

#include <graft/core/ragged.hpp>
#include <graft/core/tensor.hpp>
#include <graft/models/llama_config.hpp>
#include <graft/ops/attention.hpp>

namespace graft::models {

/// Room for `capacity` tokens of each of `sequences` sequences.
template <scalar C>
struct KeyStore {
  std::vector<Tensor<C>> k, v;  ///< a layer each, (sequences * capacity, G*K)
  Index capacity = 0;           ///< tokens of a sequence
  std::vector<Index> slots;     ///< whose room each sequence of the next batch fills; empty: its own number's

  KeyStore() = default;
  /// Room for `room` tokens of each sequence, in every layer of the model.
  KeyStore(const LlamaConfig& config, Index sequences, Index room) : capacity(room) {
    for (Index l = 0; l < config.layers; ++l) {
      k.emplace_back(sequences * room, config.kv_dim());
      v.emplace_back(sequences * room, config.kv_dim());
    }
  }

  /// Where the queries and keys of a batch stand in the store.
  [[nodiscard]] std::vector<ops::AttentionSpan> spans(const Ragged& batch) const {
    std::vector<ops::AttentionSpan> all;
    for (Index i = 0; i < batch.sequences(); ++i) {
      const Index keys = batch.start[static_cast<std::size_t>(i)] + batch.length(i);
      require(keys <= capacity, "model.540", "KeyStore: a sequence has outgrown the room that was made for it");
      all.push_back({batch.begin(i), batch.length(i), slot(i) * capacity, keys});
    }
    return all;
  }
  /// The row that each token of the batch fills.
  [[nodiscard]] std::vector<Index> rows(const Ragged& batch) const {
    std::vector<Index> all;
    for (Index i = 0; i < batch.sequences(); ++i) {
      for (Index j = 0; j < batch.length(i); ++j) {
        all.push_back(slot(i) * capacity + batch.start[static_cast<std::size_t>(i)] + j);
      }
    }
    return all;
  }

 private:
  [[nodiscard]] Index slot(Index sequence) const {
    return slots.empty() ? sequence : slots[static_cast<std::size_t>(sequence)];
  }
};

}  // namespace graft::models
