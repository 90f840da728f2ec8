// SPDX-License-Identifier: Apache-2.0
// Models and batches small enough that every gradient entry can be proved, the same numbers in every scalar.
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

#include <graft/models/llama.hpp>
#include <graft/train/batch.hpp>

namespace graft::test {

/// The smallest shape: odd widths, two groups of two heads, a window of three, every bias, norms over q and k.
[[nodiscard]] inline models::LlamaConfig smallest_config() {
  models::LlamaConfig c;
  c.model_type = "llama";
  c.vocab = 11;
  c.dim = 7;
  c.layers = 2;
  c.heads = 4;
  c.kv_heads = 2;
  c.head_dim = 2;
  c.ffn = 5;
  c.context = 64;
  c.norm_eps = 1e-5;
  c.rope_theta = 100;
  c.window = 3;
  c.qkv_bias = c.output_bias = c.mlp_bias = c.qk_norm = true;
  return c;
}

/// A larger one, without biases, whose head is its embedding.
[[nodiscard]] inline models::LlamaConfig small_config() {
  models::LlamaConfig c = smallest_config();
  c.vocab = 19;
  c.dim = 13;
  c.layers = 3;
  c.head_dim = 4;
  c.ffn = 17;
  c.window = 4;
  c.tied_head = true;
  c.qkv_bias = c.output_bias = c.mlp_bias = c.qk_norm = false;
  return c;
}

/// A model of that shape; its numbers depend on the seed only, and are exact in float.
template <class P, class B>
[[nodiscard]] models::Llama<P, B> tiny_llama(const models::LlamaConfig& c, std::uint64_t seed) {
  using S = typename P::Stored;
  static_assert(std::same_as<S, typename P::Computed>);
  const Random random(seed);
  std::uint64_t number = 0;
  const auto tensor = [&](Index rows, Index cols, double mean, double spread) {
    Tensor<S> values(rows, cols);
    const Random stream = random.child(number++);
    for (Index i = 0; i < values.size(); ++i) {
      const double value = mean + spread * stream.normal(static_cast<std::uint64_t>(i));
      values(i / cols, i % cols) = S(static_cast<real_type<S>>(static_cast<float>(value)));
    }
    return values;
  };
  const auto gain = [&](Index width) { return tensor(1, width, 1, 0.2); };
  models::Llama<P, B> model;
  model.config = c;
  model.frequencies = models::rope_frequencies(c);
  using Weight = typename models::Llama<P, B>::Weight;
  model.embedding = Weight(tensor(c.vocab, c.dim, 0, 1));
  for (Index l = 0; l < c.layers; ++l) {
    auto& b = model.blocks.emplace_back();
    b.attention_shape = {c.heads,           c.kv_heads, c.head_dim, 1 / std::sqrt(static_cast<double>(c.head_dim)),
                         c.layer_window(l), 0};
    b.norm_epsilon = c.norm_eps;
    b.attention_norm = gain(c.dim);
    b.feed_forward_norm = gain(c.dim);
    if (c.qk_norm) {
      b.query_norm = gain(c.head_dim);
      b.key_norm = gain(c.head_dim);
    }
    const auto linear = [&](Sites one, Index outputs, Index inputs, bool biased) {
      b.linear(one).weight = Weight(tensor(outputs, inputs, 0, 1 / std::sqrt(static_cast<double>(inputs))));
      if (biased) {
        b.linear(one).bias = tensor(1, outputs, 0, 0.3);
      }
    };
    linear(site::query, c.q_dim(), c.dim, c.qkv_bias);
    linear(site::key, c.kv_dim(), c.dim, c.qkv_bias);
    linear(site::value, c.kv_dim(), c.dim, c.qkv_bias);
    linear(site::output, c.dim, c.q_dim(), c.output_bias);
    linear(site::gate, c.ffn, c.dim, c.mlp_bias);
    linear(site::up, c.ffn, c.dim, c.mlp_bias);
    linear(site::down, c.dim, c.ffn, c.mlp_bias);
  }
  model.final_norm = gain(c.dim);
  if (!c.tied_head) {
    model.untied_head = Weight(tensor(c.vocab, c.dim, 0, 1));
  }
  return model;
}

/// One sequence of a tiny batch.
struct TinySequence {
  Index length = 1;
  Index prompt = 1;
  Index adapter = 1;
  Index inserted = 0;
  std::uint64_t subspace = whole_subspace;
};

/// Random tokens; of the labels about every third is ignored.
[[nodiscard]] inline train::Example tiny_example(const models::LlamaConfig& c, const TinySequence& s,
                                                 std::uint64_t seed) {
  const Random random(seed, 77);
  train::Example example;
  example.prompt = s.prompt;
  example.subspace = s.subspace;
  for (Index t = 0; t < s.length; ++t) {
    const auto i = static_cast<std::uint64_t>(t);
    example.ids.push_back(static_cast<std::int32_t>(random.below(i, static_cast<std::uint64_t>(c.vocab))));
    example.labels.push_back(random.below(i + 1000, 3) == 0 ? train::ignored : example.ids.back());
  }
  return example;
}
[[nodiscard]] inline train::Batch tiny_batch(const models::LlamaConfig& c, const std::vector<TinySequence>& sequences,
                                             std::uint64_t seed) {
  train::Batch batch;
  for (std::size_t i = 0; i < sequences.size(); ++i) {
    batch.push(tiny_example(c, sequences[i], seed + i), sequences[i].adapter, sequences[i].inserted);
  }
  return batch;
}

}  // namespace graft::test
