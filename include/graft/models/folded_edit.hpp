// SPDX-License-Identifier: Apache-2.0
// folded_edit: which edits of a stream are a change of the linear map before it, and why the others are none.
//
// At all positions, an edit of the attention's or the feed-forward's output meets nothing but y = V x + c of o_proj or
// down_proj. Where it is affine, the two are one affine map: h + R'(G h + g) = (V + R'G V) x + c + R'(G c + g).
#pragma once

#include <concepts>
#include <string>

#include <graft/adapters/attached.hpp>
#include <graft/backends/reference.hpp>
#include <graft/models/hf_config.hpp>

namespace graft::models {

/// The map whose output a stream is: o_proj before site::attention, down_proj before site::feed_forward, else none.
[[nodiscard]] constexpr Sites map_before(Sites stream) {
  return stream == site::attention ? site::output : stream == site::feed_forward ? site::down : site::none;
}

/// A module that can change the weight(d,M) and the bias(1,d) before a stream instead of editing the stream's rows.
template <class M, class T>
concept folds = requires(const M& module, View<T> into) {
  module.fold_weight(backends::Reference{}, into);
  module.fold_bias(backends::Reference{}, into);
};

/// Why no change of a weight and its bias does what a module of a stream does; empty where fold_weight and fold_bias do.
template <class A, scalar T>
[[nodiscard]] std::string why_unfolded(const Grafted<A, T>& grafted, const Placement& placement) {
  if constexpr (inserting_adapter<A>) {
    return "puts rows before the text, which no weight does";
  } else if constexpr (!folds<typename A::template Module<T>, T>) {
    return "bends what it reads by an activation, which no linear map does";
  } else if (map_before(grafted.place.where) == site::none) {
    return "edits a stream that no linear map gives alone (the output of attention or mlp, at all positions, is that "
           "of "
           "o_proj or down_proj)";
  } else if (!placement.positions.all) {
    return "edits hidden states at chosen positions, and a weight serves all positions alike";
  } else {
    return "";
  }
}

namespace detail {

/// Whether maps at the site have a bias, and the key of config.json that says so for all maps of its group.
[[nodiscard]] inline bool has_bias(const LlamaConfig& c, Sites one) {
  return one == site::output                                 ? c.output_bias
         : (one & (site::gate | site::up | site::down)) != 0 ? c.mlp_bias
                                                             : c.qkv_bias;
}
[[nodiscard]] constexpr std::string_view bias_key(Sites one) {
  return (one & (site::gate | site::up | site::down)) != 0 ? "mlp_bias" : "attention_bias";
}

/// Switches the biases of the group on where the family has the key; false where it does not.
[[nodiscard]] inline bool add_bias(LlamaConfig& c, Sites one) {
  for (const Family& family : families) {
    if (family.model_type == c.model_type && among(bias_key(one), family.keys)) {
      const bool mlp = bias_key(one) == "mlp_bias";
      (mlp ? c.mlp_bias : c.output_bias) = true;
      c.qkv_bias = c.qkv_bias || !mlp;
      return true;
    }
  }
  return false;
}

}  // namespace detail
}  // namespace graft::models
