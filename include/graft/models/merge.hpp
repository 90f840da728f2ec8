// SPDX-License-Identifier: Apache-2.0
// write_merged: a checkpoint with an adapter written into its weights, as a Hugging Face folder that needs no graft.
#pragma once

#include <concepts>
#include <map>
#include <string>
#include <string_view>
#include <type_traits>  // remove_cvref_t

#include <graft/adapters/attached.hpp>
#include <graft/adapters/full.hpp>
#include <graft/backends/reference.hpp>
#include <graft/models/folded_edit.hpp>
#include <graft/models/write_huggingface.hpp>

namespace graft::models {

/// What write_merged changed.
struct MergeReport {
  Index tensors = 0;       ///< that were written
  Index changed = 0;       ///< that an adapter's module has changed
  Index added = 0;         ///< biases that the checkpoint does not have, changed or zero
  bool tokenizer = false;  ///< was carried along
};

namespace detail {

/// config.json of the merged configuration, with the type of its weights: the checkpoint's own where there is one.
[[nodiscard]] inline io::Json carried_config(const Checkpoint& checkpoint, const LlamaConfig& merged,
                                             std::string_view dtype) {
  if (!io::is_directory(checkpoint.path)) {
    return hf_config_json(merged, dtype);
  }
  const std::string path = io::join(checkpoint.path, "config.json");
  io::Json json = io::parse_json(io::read_text(path), path);
  json[json.contains("dtype") ? "dtype" : "torch_dtype"] = dtype;
  for (const Sites one : {site::output, site::down}) {
    if (has_bias(merged, one) && !has_bias(checkpoint.config, one)) {
      json[bias_key(one)] = true;
    }
  }
  return json;
}

template <class M, class T>
concept merges =
    requires(const M& module, In<T> base, View<T> into) { module.merge(backends::Reference{}, base, into); };
template <class M, class T>
concept merges_bias = requires(const M& module, In<T> base, View<T> into) {
  { module.merge_bias(backends::Reference{}, base, into) } -> std::same_as<bool>;
};

/// Throws adapter.680 where a module is no change of weights and biases.
template <class AttachedType>
void refuse_edits(AttachedType& attached, const std::string& folder) {
  using T = typename AttachedType::Scalar;
  attached.for_each_module([&](const auto& recipe, const Placement& placement, auto& grafted) {
    using A = std::remove_cvref_t<decltype(recipe)>;
    using M = typename A::template Module<T>;
    if constexpr (!merges<M, T> && !merges_bias<M, T> && !std::same_as<A, adapters::Full>) {
      if (const std::string reason = why_unfolded(grafted, placement); !reason.empty()) {
        fail("adapter.680",
             "\"" + grafted.path() + "\" " + reason + ": it cannot be merged; keep the adapter beside the model",
             folder);
      }
    }
  });
}

/// The configuration with the biases that modules add where the checkpoint has none: config.json knows them by group, so
/// the other maps of the group get zeros. adapter.702 where it does not know them at all.
template <class AttachedType>
[[nodiscard]] LlamaConfig with_biases(LlamaConfig config, AttachedType& attached, const std::string& folder) {
  using T = typename AttachedType::Scalar;
  attached.for_each_module([&](const auto& recipe, const Placement&, auto& grafted) {
    using M = typename std::remove_cvref_t<decltype(recipe)>::template Module<T>;
    Sites one = site::none;
    if constexpr (folds<M, T>) {
      one = map_before(grafted.place.where);
    } else if constexpr (merges_bias<M, T> && !merges<M, T>) {
      one = grafted.place.where;
    }
    if (one != site::none && !has_bias(config, one) && !add_bias(config, one)) {
      fail("adapter.702",
           "\"" + grafted.path() + "\" adds a bias to \"" + module_path(grafted.place.layer, one) +
               "\", and models of type " + config.model_type +
               " have none there to merge it into; keep the adapter beside the model",
           folder);
    }
  });
  return config;
}

/// Throws adapter.703 where one module edits what a map reads and another what it gives: the second meets the product of the
/// first, so their changes do not add up.
template <class AttachedType>
void refuse_products(AttachedType& attached, const std::string& folder) {
  std::map<std::string, std::string> input, output;  // by place, the path of a module
  attached.for_each_module([&](const auto&, const Placement&, auto& grafted) {
    if constexpr (requires { grafted.module.edits_input(); }) {
      if (grafted.module.edits_input()) {
        input[grafted.place.name] = grafted.path();
      }
    }
    if constexpr (requires { grafted.module.edits_output(); }) {
      if (grafted.module.edits_output()) {
        output[grafted.place.name] = grafted.path();
      }
    }
  });
  for (const auto& [place, path] : input) {
    if (const auto other = output.find(place); other != output.end()) {
      fail("adapter.703",
           "\"" + path + "\" edits what the map reads and \"" + other->second +
               "\" what it gives: merged they would be a product, not a sum; keep the adapter beside the model",
           folder);
    }
  }
}

/// Adds what a module changes in the tensor of that name; false where it leaves it alone.
template <class B, class A, scalar T>
bool merge_module(const B& be, Grafted<A, T>& grafted, const std::string& name, View<const T> base, View<T> into) {
  bool changed = false;
  if constexpr (std::same_as<A, adapters::Full>) {  // trained in place: its value is the weight
    grafted.module.for_each_parameter([&](const char* own, Parameter<T>& trained) {
      if (name == grafted.place.name + "." + own) {
        be.copy(trained.value, into);
        changed = true;
      }
    });
    return changed;
  }
  if constexpr (merges<typename A::template Module<T>, T>) {
    if (name == grafted.place.name + ".weight") {
      grafted.module.merge(be, base, into);
      changed = true;
    }
  }
  if constexpr (merges_bias<typename A::template Module<T>, T>) {
    if (name == grafted.place.name + ".bias") {
      changed = grafted.module.merge_bias(be, base, into);
    }
  }
  return changed;
}

/// Edits of a stream as a change of the map before it; they meet the sum of what stands at that map, in their order.
template <class B, class A, scalar T>
bool fold_module(const B& be, const Grafted<A, T>& grafted, const std::string& name, View<T> into) {
  if constexpr (folds<typename A::template Module<T>, T>) {
    const std::string map = module_path(grafted.place.layer, map_before(grafted.place.where));
    if (name == map + ".weight") {
      grafted.module.fold_weight(be, into);
      return true;
    }
    if (name == map + ".bias") {
      grafted.module.fold_bias(be, into);
      return true;
    }
  }
  return false;
}

/// Refuses what no merged model can be (adapter.680, adapter.702, adapter.703); `where` is where it was to go. The configuration
/// of the merged model: the checkpoint's, with the biases that the adapter brings.
template <class AttachedType>
[[nodiscard]] LlamaConfig merged_config(AttachedType& attached, const Checkpoint& checkpoint,
                                        const std::string& where) {
  refuse_edits(attached, where);
  refuse_products(attached, where);
  return with_biases(checkpoint.config, attached, where);
}

/// Computes checkpoint + adapter, one tensor a call, for any writer: every weight is decoded to the adapter's precision,
/// changed, and rounded to float once. Modules are functions of the untouched weight, so those at one place add up; affine
/// edits of the attention's or the feed-forward's output follow (folded_edit.hpp).
template <class B, class AttachedType>
struct Merging {
  const Checkpoint& checkpoint;
  const B& be;
  AttachedType& attached;
  MergeReport report{};

  void operator()(const TensorSpec& spec, View<float> values) {
    using T = typename AttachedType::Scalar;
    const bool present = checkpoint.has(spec.name);
    const Tensor<T> base =
        present ? load_tensor<T>(checkpoint, spec.name, values.rows, values.cols) : Tensor<T>(values.rows, values.cols);
    Tensor<T> merged(values.rows, values.cols);
    be.copy(base.view(), merged.view());
    bool changed = false;
    attached.for_each_module([&](const auto&, const Placement&, auto& grafted) {
      if (spec.name.starts_with(grafted.place.name + ".")) {
        changed = merge_module(be, grafted, spec.name, base.view(), merged.view()) || changed;
      }
    });
    attached.for_each_module([&](const auto&, const Placement&, const auto& grafted) {
      changed = fold_module(be, grafted, spec.name, merged.view()) || changed;
    });
    for (Index i = 0; i < values.size(); ++i) {
      values.data[i] = static_cast<float>(real_part(merged.data()[i]));
    }
    ++report.tensors;
    report.changed += changed ? 1 : 0;
    report.added += present ? 0 : 1;
  }
};

}  // namespace detail

/// Writes checkpoint + adapter in S to `folder`, one tensor in memory at a time. A tied head stays tied. An edit of hidden
/// states that no map before it can hold is adapter.680, a bias for which the model's family has no place adapter.702.
/// models/write_gguf.hpp writes the same as GGUF.
template <storable S, class B, class AttachedType>
MergeReport write_merged(const std::string& folder, const Checkpoint& checkpoint, const B& be, AttachedType& attached) {
  const LlamaConfig config = detail::merged_config(attached, checkpoint, folder);
  detail::Merging<B, AttachedType> merging{checkpoint, be, attached};
  write_huggingface<S>(folder, config, detail::carried_config(checkpoint, config, hf_dtype<S>), merging);
  merging.report.tokenizer = carry_tokenizer(folder, checkpoint);
  return merging.report;
}

}  // namespace graft::models
