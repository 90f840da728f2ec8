// SPDX-License-Identifier: Apache-2.0
// LlamaConfig: the knobs that tell one LLaMA-style decoder from another.
#pragma once

#include <cmath>    // pow
#include <cstdint>  // int32_t
#include <numbers>  // pi
#include <string>
#include <vector>

#include <graft/base/index.hpp>
#include <graft/base/require.hpp>
#include <graft/ops/activation.hpp>

namespace graft::models {

using ops::Activation;

/// How RoPE's frequencies were stretched for a longer context.
struct RopeScaling {
  /// Not at all, all alike, by wavelength, or each by a divisor of its own.
  enum class Kind { none, linear, llama3, factors };
  Kind kind = Kind::none;       ///< which of the fields below count
  double factor = 1;            ///< linear, llama3
  double low_freq_factor = 1;   ///< llama3
  double high_freq_factor = 4;  ///< llama3
  Index original_context = 0;   ///< llama3
  std::vector<float> factors;   ///< factors: a divisor per frequency (GGUF's rope_freqs tensor)

  friend bool operator==(const RopeScaling&, const RopeScaling&) = default;
};

/// What a checkpoint says about its architecture; zero or false where a family does not have the thing.
struct LlamaConfig {
  std::string model_type;                    ///< llama, mistral, qwen2, qwen3 or gemma
  Index vocab = 0;                           ///< V
  Index dim = 0;                             ///< D
  Index layers = 0;                          ///< L
  Index heads = 0;                           ///< H
  Index kv_heads = 0;                        ///< G, which divides H
  Index head_dim = 0;                        ///< K; H * K may differ from D
  Index ffn = 0;                             ///< F
  Index context = 0;                         ///< tokens that the model was trained to see
  double norm_eps = 1e-6;                    ///< under the root of every RMSNorm
  double rope_theta = 10000;                 ///< base of RoPE's wavelengths
  RopeScaling rope_scaling;                  ///< for a longer context
  bool tied_head = false;                    ///< the embedding is the head too
  bool qkv_bias = false;                     ///< of q, k and v
  bool output_bias = false;                  ///< of o
  bool mlp_bias = false;                     ///< of gate, up and down
  bool qk_norm = false;                      ///< Qwen3: RMSNorm over each head of q and k, before RoPE
  Index window = 0;                          ///< query i sees i - window < j <= i; 0 = all
  Index window_from_layer = 0;               ///< layers from this one on use the window
  Activation activation = Activation::silu;  ///< of the gate
  double norm_offset = 0;                    ///< 1 for Gemma's (1 + w)
  double embedding_scale = 1;                ///< sqrt(dim) for Gemma
  std::vector<std::int32_t> eos;             ///< ids that end a text
  std::int32_t bos = -1;                     ///< -1 = none
  std::int32_t pad = -1;                     ///< -1 = none

  [[nodiscard]] Index q_dim() const { return heads * head_dim; }      ///< H * K
  [[nodiscard]] Index kv_dim() const { return kv_heads * head_dim; }  ///< G * K
  /// The window of one layer; 0 = it sees everything.
  [[nodiscard]] Index layer_window(Index layer) const { return layer >= window_from_layer ? window : 0; }

  friend bool operator==(const LlamaConfig&, const LlamaConfig&) = default;
};

/// One tensor that a checkpoint must hold: its Hugging Face name and its shape (out x in, or {n}).
struct TensorSpec {
  std::string name;          ///< Hugging Face's
  std::vector<Index> shape;  ///< (out, in) or (n)
};

/// Every tensor that the configuration demands, in the order of the forward pass.
[[nodiscard]] inline std::vector<TensorSpec> tensor_specs(const LlamaConfig& c) {
  std::vector<TensorSpec> specs = {{"model.embed_tokens.weight", {c.vocab, c.dim}}};
  const auto linear = [&specs](const std::string& name, Index out, Index in, bool bias) {
    specs.push_back({name + ".weight", {out, in}});
    if (bias) {
      specs.push_back({name + ".bias", {out}});
    }
  };
  for (Index i = 0; i < c.layers; ++i) {
    const std::string layer = "model.layers." + std::to_string(i) + ".";
    specs.push_back({layer + "input_layernorm.weight", {c.dim}});
    linear(layer + "self_attn.q_proj", c.q_dim(), c.dim, c.qkv_bias);
    linear(layer + "self_attn.k_proj", c.kv_dim(), c.dim, c.qkv_bias);
    linear(layer + "self_attn.v_proj", c.kv_dim(), c.dim, c.qkv_bias);
    if (c.qk_norm) {
      specs.push_back({layer + "self_attn.q_norm.weight", {c.head_dim}});
      specs.push_back({layer + "self_attn.k_norm.weight", {c.head_dim}});
    }
    linear(layer + "self_attn.o_proj", c.dim, c.q_dim(), c.output_bias);
    specs.push_back({layer + "post_attention_layernorm.weight", {c.dim}});
    linear(layer + "mlp.gate_proj", c.ffn, c.dim, c.mlp_bias);
    linear(layer + "mlp.up_proj", c.ffn, c.dim, c.mlp_bias);
    linear(layer + "mlp.down_proj", c.dim, c.ffn, c.mlp_bias);
  }
  specs.push_back({"model.norm.weight", {c.dim}});
  if (!c.tied_head) {
    specs.push_back({"lm_head.weight", {c.vocab, c.dim}});
  }
  return specs;
}

/// How many numbers the base model has; a tied head counts once.
[[nodiscard]] inline Index parameter_count(const LlamaConfig& config) {
  Index total = 0;
  for (const TensorSpec& spec : tensor_specs(config)) {
    Index count = 1;
    for (const Index extent : spec.shape) {
      count *= extent;
    }
    total += count;
  }
  return total;
}

/// RoPE's head_dim / 2 angular frequencies theta^(-2i / head_dim), after scaling.
[[nodiscard]] inline std::vector<double> rope_frequencies(const LlamaConfig& config) {
  const RopeScaling& scaling = config.rope_scaling;
  std::vector<double> frequencies;
  for (Index i = 0; i < config.head_dim / 2; ++i) {
    double f = std::pow(config.rope_theta, -2.0 * static_cast<double>(i) / static_cast<double>(config.head_dim));
    if (scaling.kind == RopeScaling::Kind::linear) {
      f /= scaling.factor;
    } else if (scaling.kind == RopeScaling::Kind::factors) {
      f /= static_cast<double>(scaling.factors[static_cast<std::size_t>(i)]);
    } else if (scaling.kind ==
               RopeScaling::Kind::llama3) {  // long waves are stretched, short ones kept, between: blended
      const double turns = static_cast<double>(scaling.original_context) * f / (2 * std::numbers::pi);
      const double kept = (turns - scaling.low_freq_factor) / (scaling.high_freq_factor - scaling.low_freq_factor);
      const double blend = kept < 0 ? 0 : kept > 1 ? 1 : kept;
      f = (1 - blend) * f / scaling.factor + blend * f;
    }
    frequencies.push_back(f);
  }
  return frequencies;
}

/// Refuses sizes that no model has, before anything multiplies them (model.504).
inline void validate(const LlamaConfig& c, const std::string& where) {
  const auto within = [&where](const char* name, Index value, Index limit) {
    if (value < 1 || value > limit) {
      fail("model.504", std::string(name) + " is " + std::to_string(value) + ", expected 1 to " + std::to_string(limit),
           where);
    }
  };
  within("the vocabulary size", c.vocab, Index{1} << 24);
  within("the hidden size", c.dim, Index{1} << 18);
  within("the number of layers", c.layers, 4096);
  within("the number of attention heads", c.heads, Index{1} << 14);
  within("the number of key-value heads", c.kv_heads, c.heads);
  within("the head size", c.head_dim, Index{1} << 14);
  within("the feed-forward size", c.ffn, Index{1} << 20);
  within("the context length", c.context, Index{1} << 30);
  const auto holds = [&where](bool condition, const std::string& what) {
    if (!condition) {
      fail("model.504", what, where);
    }
  };
  holds(c.heads % c.kv_heads == 0, "the number of attention heads (" + std::to_string(c.heads) +
                                       ") must be a multiple of the number of key-value heads (" +
                                       std::to_string(c.kv_heads) + ")");
  holds(c.head_dim % 2 == 0, "the head size is " + std::to_string(c.head_dim) + ", expected an even number for RoPE");
  holds(c.norm_eps > 0 && c.norm_eps < 1,
        "the norm's epsilon is " + std::to_string(c.norm_eps) + ", expected a number in (0, 1)");
  holds(c.rope_theta > 0 && std::isfinite(c.rope_theta),
        "rope_theta is " + std::to_string(c.rope_theta) + ", expected a positive number");
  holds(c.window >= 0, "the sliding window is " + std::to_string(c.window) + ", expected a positive number");
  const RopeScaling& rope = c.rope_scaling;
  holds(rope.factor > 0 && std::isfinite(rope.factor),
        "the RoPE scaling factor is " + std::to_string(rope.factor) + ", expected a positive number");
  if (rope.kind == RopeScaling::Kind::llama3) {
    holds(rope.high_freq_factor > rope.low_freq_factor && rope.low_freq_factor > 0 && rope.original_context > 0,
          "llama3 RoPE scaling needs 0 < low_freq_factor < high_freq_factor and a positive "
          "original_max_position_embeddings");
  }
  if (rope.kind == RopeScaling::Kind::factors) {
    holds(static_cast<Index>(rope.factors.size()) == c.head_dim / 2,
          "there are " + std::to_string(rope.factors.size()) + " RoPE factors, expected " +
              std::to_string(c.head_dim / 2));
    for (const float factor : rope.factors) {
      holds(factor > 0 && std::isfinite(factor),
            "a RoPE factor is " + std::to_string(factor) + ", expected a positive number");
    }
  }
}

}  // namespace graft::models
