// SPDX-License-Identifier: Apache-2.0
// Llama: the frozen weights of a LLaMA-style decoder in a precision and a backend's form. Nothing here parses or trains.
#pragma once

#include <memory>  // shared_ptr
#include <optional>
#include <vector>

#include <graft/backend.hpp>
#include <graft/layers/decoder_block.hpp>
#include <graft/models/checkpoint.hpp>
#include <graft/models/llama_config.hpp>

namespace graft::models {

/// A model that a backend can run. Weights that the file holds in P::Stored are used where they lie.
template <precision P, class B>
  requires backend<B, typename P::Stored, typename P::Computed>
class Llama {
 public:
  using Precision = P;                            ///< storage and arithmetic
  using Backend = B;                              ///< who computes
  using S = typename P::Stored;                   ///< storage
  using C = typename P::Computed;                 ///< arithmetic
  using Weight = typename B::template Weight<S>;  ///< a frozen matrix in the backend's form

  LlamaConfig config;                              ///< the checkpoint's
  Weight embedding;                                ///< (V,D)
  std::vector<layers::DecoderBlock<P, B>> blocks;  ///< L of them
  Tensor<C> final_norm;                            ///< (1,D)
  Weight untied_head;                              ///< (V,D), or empty where the embedding serves
  std::vector<double> frequencies;                 ///< (K/2) of rope

  /// Reads every tensor that the configuration demands; refuses NaN and infinity.
  [[nodiscard]] static Llama load(const Checkpoint& checkpoint) {
    const LlamaConfig& c = checkpoint.config;
    Llama model;
    model.config = c;
    model.keepalive_ = checkpoint.keepalive;
    model.frequencies = rope_frequencies(c);
    model.embedding = weight(checkpoint, module_path(0, site::embedding) + ".weight", c.vocab, c.dim);
    for (Index l = 0; l < c.layers; ++l) {
      model.blocks.push_back(block(checkpoint, l));
    }
    model.final_norm = load_tensor<C>(checkpoint, module_path(0, site::final_norm) + ".weight", 1, c.dim);
    if (!c.tied_head) {
      model.untied_head = weight(checkpoint, module_path(0, site::head) + ".weight", c.vocab, c.dim);
    }
    return model;
  }

  /// (V,D): what hidden states are multiplied with.
  [[nodiscard]] const Weight& head() const { return config.tied_head ? embedding : untied_head; }
  [[nodiscard]] Index layer_count() const { return static_cast<Index>(blocks.size()); }  ///< L
  /// The norm between the last block and the head.
  [[nodiscard]] ops::RmsNorm<C> last_norm() const { return {final_norm.view(), config.norm_eps, config.norm_offset}; }

 private:
  [[nodiscard]] static Weight weight(const Checkpoint& checkpoint, const std::string& name, Index rows, Index cols) {
    if constexpr (std::floating_point<S> || std::same_as<S, bf16>) {
      const io::TensorRef& tensor = checkpoint.tensor(name);
      if (const auto mapped = io::in_place<S>(tensor)) {
        check_finite(*mapped, tensor);
        return Weight(*mapped);
      }
    }
    return Weight(load_tensor<S>(checkpoint, name, rows, cols));
  }

  [[nodiscard]] static layers::DecoderBlock<P, B> block(const Checkpoint& checkpoint, Index l) {
    const LlamaConfig& c = checkpoint.config;
    const auto gain = [&](Sites one, Index width) {
      return load_tensor<C>(checkpoint, module_path(l, one) + ".weight", 1, width);
    };
    layers::DecoderBlock<P, B> b;
    b.attention_shape = {c.heads,           c.kv_heads, c.head_dim, 1.0 / std::sqrt(static_cast<double>(c.head_dim)),
                         c.layer_window(l), 0};
    b.activation = c.activation;
    b.norm_epsilon = c.norm_eps;
    b.norm_offset = c.norm_offset;
    b.attention_norm = gain(site::attention_norm, c.dim);
    b.feed_forward_norm = gain(site::feed_forward_norm, c.dim);
    if (c.qk_norm) {
      b.query_norm = gain(site::query_norm, c.head_dim);
      b.key_norm = gain(site::key_norm, c.head_dim);
    }
    for (Sites one = 1; one <= site::down; one <<= 1) {
      const std::string name = module_path(l, one);
      const bool is_attention = one < site::output;
      const bool biased = is_attention ? c.qkv_bias : one == site::output ? c.output_bias : c.mlp_bias;
      const Index wide = one == site::query ? c.q_dim() : c.kv_dim();
      const Index out = is_attention ? wide : one == site::gate || one == site::up ? c.ffn : c.dim;
      const Index in = one == site::output ? c.q_dim() : one == site::down ? c.ffn : c.dim;
      b.linear(one).weight = weight(checkpoint, name + ".weight", out, in);
      if (biased) {
        b.linear(one).bias = load_tensor<C>(checkpoint, name + ".bias", 1, out);
      }
    }
    return b;
  }

  std::vector<std::shared_ptr<const void>> keepalive_;  // the mapped files
};

}  // namespace graft::models
