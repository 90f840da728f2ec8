// SPDX-License-Identifier: Apache-2.0
// count_trainable: how many numbers a stack trains on a model, from shapes alone: no weight is read, nothing is allocated.
#pragma once

#include <algorithm>  // find_if
#include <string>
#include <vector>

#include <graft/adapters/stack.hpp>
#include <graft/models/llama_config.hpp>

namespace graft::models {

namespace detail {

/// Weight and bias of a module path, of those that the model has.
[[nodiscard]] inline Index numbers_of(const std::vector<TensorSpec>& specs, const std::string& path) {
  Index total = 0;
  for (const TensorSpec& spec : specs) {
    if (spec.name == path + ".weight" || spec.name == path + ".bias") {
      total += spec.shape[0] * (spec.shape.size() > 1 ? spec.shape[1] : 1);
    }
  }
  return total;
}

/// Where a module would stand: a linear map as the model has it, or a stream of the model's width.
[[nodiscard]] inline Place place_in(const LlamaConfig& config, const std::vector<TensorSpec>& specs, Index layer,
                                    Sites one) {
  Place place{layer, one, config.dim, config.dim, module_path(layer, one)};
  if ((one & site::linear) != 0) {
    const auto found = std::find_if(specs.begin(), specs.end(),
                                    [&](const TensorSpec& spec) { return spec.name == place.name + ".weight"; });
    place.outputs = found->shape[0];
    place.inputs = found->shape[1];
  } else if ((one & (site::keys | site::values)) != 0) {
    place.outputs = place.inputs = config.kv_dim();
  }
  return place;
}

template <class AtType>
[[nodiscard]] Index count_part(const LlamaConfig& config, const std::vector<TensorSpec>& specs, const AtType& at) {
  using A = typename AtType::Adapter;
  const Placement& placement = at.placement;
  const bool untied = representation_adapter<A> && !inserting_adapter<A> && placement.splits();
  Index total = 0;
  for (Index layer = 0; layer < config.layers; ++layer) {
    for (Sites one = 1; one < (1u << site::count); one <<= 1) {
      const bool stands = layer == 0 || (one & site::once) == 0;
      if ((AtType::sites & one) == 0 || !placement.names(layer, one) || !stands) {
        continue;
      }
      if constexpr (std::same_as<A, adapters::Full>) {
        total += numbers_of(specs, module_path(layer, one));
      } else {
        static_assert(
            requires(const A& recipe, const Place& place) { recipe.trained(place); },
            "count_trainable: the adapter lacks trained(place), the number of scalars a module trains there");
        total += (untied ? 2 : 1) * at.adapter.trained(place_in(config, specs, layer, one));
      }
    }
  }
  return total;
}

}  // namespace detail

/// What parameter_count says of the stack once attached, and what the papers' tables say.
template <class... Ats>
[[nodiscard]] Index count_trainable(const LlamaConfig& config, const Stack<Ats...>& stack) {
  const std::vector<TensorSpec> specs = tensor_specs(config);
  return std::apply([&](const auto&... at) { return (Index{0} + ... + detail::count_part(config, specs, at)); },
                    stack.parts);
}

}  // namespace graft::models
