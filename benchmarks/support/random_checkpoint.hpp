// SPDX-License-Identifier: Apache-2.0
// A checkpoint in memory: any shape of model with seeded random weights, for measuring without a download.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <graft/core/parallel.hpp>
#include <graft/core/random.hpp>
#include <graft/models/checkpoint.hpp>

namespace graft::bench {

/// SmolLM2-135M: what ../shared/peers measures.
inline models::LlamaConfig smollm2_shape() {
  models::LlamaConfig c;
  c.model_type = "llama";
  c.vocab = 49152;
  c.dim = 576;
  c.layers = 30;
  c.heads = 9;
  c.kv_heads = 3;
  c.head_dim = 64;
  c.ffn = 1536;
  c.context = 8192;
  c.norm_eps = 1e-5;
  c.rope_theta = 1e5;
  c.tied_head = true;
  return c;
}

/// TinyLlama's 1.1B.
inline models::LlamaConfig tinyllama_shape() {
  models::LlamaConfig c = smollm2_shape();
  c.vocab = 32000;
  c.dim = 2048;
  c.layers = 22;
  c.heads = 32;
  c.kv_heads = 4;
  c.ffn = 5632;
  c.context = 2048;
  c.rope_theta = 1e4;
  c.tied_head = false;
  return c;
}

/// Llama 3's 8B.
inline models::LlamaConfig llama3_shape() {
  models::LlamaConfig c = tinyllama_shape();
  c.vocab = 128256;
  c.dim = 4096;
  c.layers = 32;
  c.kv_heads = 8;
  c.head_dim = 128;
  c.ffn = 14336;
  c.context = 8192;
  c.rope_theta = 5e5;
  return c;
}

/// Every tensor uniform in +-0.04, norms at one.
inline models::Checkpoint random_checkpoint(const models::LlamaConfig& config, std::uint64_t seed) {
  models::Checkpoint checkpoint;
  checkpoint.path = "random weights";
  checkpoint.kind = "random";
  checkpoint.config = config;
  std::uint64_t stream = 0;
  for (const models::TensorSpec& spec : models::tensor_specs(config)) {
    const bool is_gain = spec.shape.size() == 1;
    auto values = std::make_shared<Tensor<float>>(is_gain ? 1 : spec.shape[0], spec.shape.back());
    const Random random(seed, stream++);
    parallel_for(values->rows(), [&](Index row, Index) {
      for (Index i = row * values->cols(); i < (row + 1) * values->cols(); ++i) {
        values->data()[i] =
            is_gain ? 1.0f : static_cast<float>(0.08 * (random.uniform(static_cast<std::uint64_t>(i)) - 0.5));
      }
    });
    checkpoint.tensors.push_back(io::tensor_ref(spec.name, values->view(), spec.shape));
    checkpoint.keepalive.push_back(values);
  }
  models::check_tensors(checkpoint);
  return checkpoint;
}

}  // namespace graft::bench
