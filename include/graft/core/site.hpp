// SPDX-License-Identifier: Apache-2.0
// site: the places of a decoder where something can be grafted or trained. A set of sites is a bit mask.
#pragma once

#include <bit>  // countr_zero
#include <string>
#include <string_view>

#include <graft/base/index.hpp>
#include <graft/base/require.hpp>

namespace graft {

/// One site, or several joined with |.
using Sites = unsigned;

namespace site {
inline constexpr Sites query = 1u << 0, key = 1u << 1, value = 1u << 2, output = 1u << 3;  ///< maps of the attention
inline constexpr Sites gate = 1u << 4, up = 1u << 5, down = 1u << 6;                       ///< maps of the feed-forward
inline constexpr Sites attention = 1u << 7;     ///< output of the attention, before it joins the residual stream
inline constexpr Sites feed_forward = 1u << 8;  ///< output of the feed-forward, before it joins
inline constexpr Sites residual = 1u << 9;      ///< the residual stream after the block (pyreft's block_output)
/// Gains of the norms, (1,D) or, before RoPE, (1,K) for every head (Qwen3). @{
inline constexpr Sites attention_norm = 1u << 10, feed_forward_norm = 1u << 11, query_norm = 1u << 12,
                       key_norm = 1u << 13;
/// @}
inline constexpr Sites keys = 1u << 14, values = 1u << 15;  ///< as the attention reads them (inserted: prefix tuning)
inline constexpr Sites embedded = 1u << 16;                 ///< the stream before block 0 (inserted: prompt tuning)
inline constexpr Sites embedding = 1u << 17, final_norm = 1u << 18, head = 1u << 19;  ///< trained tables; once a model

inline constexpr Index count = 20;  ///< sites that exist
inline constexpr Sites none = 0;    ///< the empty set
/// Frozen linear maps: what Lora and Pmss add to.
inline constexpr Sites linear = query | key | value | output | gate | up | down;
/// Rows of hidden states: what the Subspace family edits.
inline constexpr Sites stream = attention | feed_forward | residual | keys | values | embedded;
/// Gains: what Full trains beside the maps.
inline constexpr Sites norms = attention_norm | feed_forward_norm | query_norm | key_norm;
inline constexpr Sites once = embedded | embedding | final_norm | head;  ///< stand once a model, in the slot of layer 0
inline constexpr Sites in_block = (linear | stream | norms) & ~once;     ///< stand in every block
inline constexpr Sites everything = (1u << count) - 1;                   ///< the full set
}  // namespace site

/// Position of a single site in tables of site::count entries.
[[nodiscard]] constexpr Index site_index(Sites one) {
  return std::countr_zero(one);
}

/// Hugging Face's name of a site: "self_attn.q_proj" inside a layer, "model.norm" outside.
[[nodiscard]] constexpr std::string_view site_name(Sites one) {
  constexpr std::string_view names[] = {"self_attn.q_proj",
                                        "self_attn.k_proj",
                                        "self_attn.v_proj",
                                        "self_attn.o_proj",
                                        "mlp.gate_proj",
                                        "mlp.up_proj",
                                        "mlp.down_proj",
                                        "self_attn",
                                        "mlp",
                                        "",
                                        "input_layernorm",
                                        "post_attention_layernorm",
                                        "self_attn.q_norm",
                                        "self_attn.k_norm",
                                        "self_attn.keys",
                                        "self_attn.values",
                                        "model.embedded",
                                        "model.embed_tokens",
                                        "model.norm",
                                        "lm_head"};
  return names[site_index(one)];
}

/// The full module path: "model.layers.3.mlp.up_proj", "model.layers.3" for its residual stream, "model.norm".
[[nodiscard]] inline std::string module_path(Index layer, Sites one) {
  const std::string name(site_name(one));
  if ((one & site::in_block) == 0) {
    return name;
  }
  return "model.layers." + std::to_string(layer) + (name.empty() ? "" : ".") + name;
}

/// The projection that users call "q_proj" (or "mlp.up_proj"); site::none where there is none of that name.
[[nodiscard]] constexpr Sites projection_named(std::string_view name) {
  for (Sites one = 1; one <= site::down; one <<= 1) {
    const std::string_view full = site_name(one);
    if (name == full || name == full.substr(full.find('.') + 1)) {
      return one;
    }
  }
  return site::none;
}

}  // namespace graft
