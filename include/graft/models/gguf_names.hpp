// SPDX-License-Identifier: Apache-2.0
// gguf_names: what llama.cpp calls the tensors and architectures of Hugging Face, in both directions.
//
// blk.N.attn_q <-> model.layers.N.self_attn.q_proj and so on. The converter of architecture llama reorders the rows of q and k
// into adjacent RoPE pairs. Source: llama.cpp, convert_hf_to_gguf.py, gguf-py constants.
#pragma once

#include <array>
#include <span>
#include <string>
#include <string_view>

#include <graft/models/llama_config.hpp>

namespace graft::models {

namespace detail {

struct NamePair {
  std::string_view gguf, hf;
};
inline constexpr std::array<NamePair, 3> names_outside = {
    {{"token_embd.", "model.embed_tokens."}, {"output_norm.", "model.norm."}, {"output.", "lm_head."}}};
inline constexpr std::array<NamePair, 11> names_inside = {{{"attn_norm.", "input_layernorm."},
                                                           {"attn_q.", "self_attn.q_proj."},
                                                           {"attn_k.", "self_attn.k_proj."},
                                                           {"attn_v.", "self_attn.v_proj."},
                                                           {"attn_q_norm.", "self_attn.q_norm."},
                                                           {"attn_k_norm.", "self_attn.k_norm."},
                                                           {"attn_output.", "self_attn.o_proj."},
                                                           {"ffn_norm.", "post_attention_layernorm."},
                                                           {"ffn_gate.", "mlp.gate_proj."},
                                                           {"ffn_up.", "mlp.up_proj."},
                                                           {"ffn_down.", "mlp.down_proj."}}};

/// Renames from one spelling to the other; a name without counterpart stays.
[[nodiscard]] inline std::string renamed(const std::string& name, std::string_view NamePair::* from,
                                         std::string_view NamePair::* to, std::string_view from_layers,
                                         std::string_view to_layers) {
  std::string head;
  std::string_view rest = name;
  std::span<const NamePair> pairs = names_outside;
  if (const std::size_t dot = name.find('.', from_layers.size());
      name.starts_with(from_layers) && dot != std::string::npos) {
    head = std::string(to_layers) + name.substr(from_layers.size(), dot - from_layers.size()) + ".";
    rest.remove_prefix(dot + 1);
    pairs = names_inside;
  }
  for (const NamePair& pair : pairs) {
    if (rest.starts_with(pair.*from)) {
      return head + std::string(pair.*to) + std::string(rest.substr((pair.*from).size()));
    }
  }
  return name;
}

}  // namespace detail

/// The Hugging Face name of a GGUF tensor; a name without counterpart stays.
[[nodiscard]] inline std::string hf_name(const std::string& gguf) {
  return detail::renamed(gguf, &detail::NamePair::gguf, &detail::NamePair::hf, "blk.", "model.layers.");
}

/// The GGUF name of a Hugging Face tensor; a name without counterpart stays.
[[nodiscard]] inline std::string gguf_name(const std::string& hf) {
  return detail::renamed(hf, &detail::NamePair::hf, &detail::NamePair::gguf, "model.layers.", "blk.");
}

/// What llama.cpp calls the architecture: Mistral is its llama.
[[nodiscard]] inline std::string gguf_architecture(const LlamaConfig& config) {
  return config.model_type == "mistral" ? "llama" : config.model_type;
}

/// How many heads' rows stand in adjacent RoPE pairs in the GGUF tensor of this Hugging Face name; 0 where none do.
[[nodiscard]] inline Index gguf_pair_heads(const LlamaConfig& config, std::string_view name) {
  if (gguf_architecture(config) != "llama") {
    return 0;
  }
  return name.find(".q_proj.") != std::string_view::npos   ? config.heads
         : name.find(".k_proj.") != std::string_view::npos ? config.kv_heads
                                                           : 0;
}

}  // namespace graft::models
