// SPDX-License-Identifier: Apache-2.0
// attach: puts the modules of a stack on a model, one for every layer and site that the stack and its placement name.
#pragma once

#include <algorithm>  // find, max
#include <bit>        // popcount
#include <memory>     // make_shared
#include <string>
#include <vector>

#include <graft/adapters/attached.hpp>
#include <graft/core/parallel.hpp>
#include <graft/models/llama.hpp>

namespace graft {

namespace detail {

/// Sites of `sites` at which module A of this model can stand in this layer.
template <class A, class Model>
[[nodiscard]] bool stands(const Model& model, Index layer, Sites one) {
  if ((one & site::once) != 0 && layer != 0) {
    return false;
  }
  if constexpr (!std::same_as<A, adapters::Full>) {
    return true;
  }
  if ((one & (site::query_norm | site::key_norm)) != 0) {
    return model.config.qk_norm;
  }
  if (one == site::head) {
    return !model.config.tied_head;
  }
  return (one & site::stream) == 0;
}

/// The numbers that Full trains at a site: weight, and bias where there is one.
template <class Model>
[[nodiscard]] adapters::Full::Module<typename Model::C> full_module(Model& model, Index layer, Sites one) {
  using C = typename Model::C;
  static_assert(std::same_as<typename Model::S, C>,
                "Full: weights are trained in the precision they are stored in; use Uniform<T>, not Mixed");
  auto& block = model.blocks[static_cast<std::size_t>(layer)];
  switch (one) {
    case site::attention_norm: return {block.attention_norm.view(), {}};
    case site::feed_forward_norm: return {block.feed_forward_norm.view(), {}};
    case site::query_norm: return {block.query_norm.view(), {}};
    case site::key_norm: return {block.key_norm.view(), {}};
    case site::embedding: return {model.embedding.writable(), {}};
    case site::final_norm: return {model.final_norm.view(), {}};
    case site::head: return {model.untied_head.writable(), {}};
    default: {
      auto& linear = block.linear(one);
      return {linear.weight.writable(), linear.bias.view()};
    }
  }
}

/// A module as its recipe starts it.
template <class A, class Model>
[[nodiscard]] typename A::template Module<typename Model::C> make_module(const A& recipe,
                                                                         const typename Model::Backend& be,
                                                                         Model& model, const Place& place,
                                                                         Random random) {
  if constexpr (std::same_as<A, adapters::Full>) {
    return full_module(model, place.layer, place.where);
  } else if constexpr (representation_adapter<A> || half_block_adapter<A>) {
    return {recipe, be, place, random};
  } else {
    using Module = typename A::template Module<typename Model::C>;
    const auto& linear = model.blocks[static_cast<std::size_t>(place.layer)].linear(place.where);
    if constexpr (requires { Module(recipe, be, linear.weight, linear.bias.view(), place, random); }) {
      return Module(recipe, be, linear.weight, linear.bias.view(), place, random);
    } else {
      return Module(recipe, be, linear.weight, place, random);
    }
  }
}

template <class Model>
[[nodiscard]] Place place_of(Model& model, Index layer, Sites one) {
  Place place{layer, one, model.config.dim, model.config.dim, module_path(layer, one)};
  if ((one & site::linear) != 0) {
    const auto& linear = model.blocks[static_cast<std::size_t>(layer)].linear(one);
    place.outputs = linear.outputs();
    place.inputs = linear.inputs();
  } else if ((one & (site::keys | site::values)) != 0) {
    place.outputs = place.inputs = model.config.kv_dim();
  }
  return place;
}

/// Gives all modules of a part the one frozen thing that they share, as large as the largest of them needs; `make` may have
/// it from a file.
template <class A, scalar T, class MakeModule>
void share_frozen(Grafts<A, T>& part, const MakeModule& make) {
  using Module = typename A::template Module<T>;
  if constexpr (requires { typename Module::Shared; }) {
    Index outputs = 0;
    Index inputs = 0;
    for (const auto& grafted : part.modules) {
      outputs = std::max(outputs, grafted.place.outputs);
      inputs = std::max(inputs, grafted.place.inputs);
    }
    const auto made = [&] {
      if constexpr (requires { make.template shared<Module>(part.adapter, outputs, inputs); }) {
        return make.template shared<Module>(part.adapter, outputs, inputs);
      } else {
        return Module::shared(part.adapter, outputs, inputs);
      }
    };
    const auto shared = std::make_shared<const typename Module::Shared>(made());
    for (auto& grafted : part.modules) {
      grafted.module.share(shared, grafted.place.name);
    }
  }
}

template <class AtType, class Model, class MakeModule>
void attach_part(Grafts<typename AtType::Adapter, typename Model::C>& part, const AtType& at,
                 const typename Model::Backend& be, Model& model, Random random, const MakeModule& make) {
  using A = typename AtType::Adapter;
  const Placement& placement = at.placement;
  part.adapter = at.adapter;
  part.placement = placement;
  if (placement.sites == site::none) {
    return;  // this part of the stack is not asked for
  }
  for (const Index layer : placement.layers.chosen) {
    if (layer < 0 || layer >= model.layer_count()) {
      fail("adapter.640", "layer " + std::to_string(layer) + " does not exist; the model has layers 0 to " +
                              std::to_string(model.layer_count() - 1));
    }
  }
  part.slots.assign(static_cast<std::size_t>(model.layer_count() * site::count), {});
  const bool untied = representation_adapter<A> && !inserting_adapter<A> && placement.splits();
  std::vector<Grafted<A, typename Model::C>>& modules = part.modules;
  for (Index layer = 0; layer < model.layer_count(); ++layer) {
    for (Sites one = 1; one < (1u << site::count); one <<= 1) {
      if ((AtType::sites & one) == 0 || !placement.names(layer, one) || !stands<A>(model, layer, one)) {
        continue;
      }
      RowRange& slot = part.slots[static_cast<std::size_t>(layer * site::count + site_index(one))];
      slot = {static_cast<Index>(modules.size()), untied ? 2 : 1};
      for (Index unit = 0; unit < slot.rows; ++unit) {
        const Part side = !untied ? Part::both : unit == 0 ? Part::prefix : Part::suffix;
        modules.push_back({{}, place_of(model, layer, one), side, at.adapter});
      }
    }
  }
  if (modules.empty()) {
    fail("adapter.641", "no module of the model matches the layers and sites of \"" + std::string(A::name) + "\"");
  }
  if constexpr (inserting_adapter<A>) {
    const Index full = std::popcount(A::sites) * ((A::sites & site::once) != 0 ? 1 : model.layer_count());
    if (static_cast<Index>(modules.size()) != full) {
      fail("adapter.746",
           "\"" + std::string(A::name) + "\" stands at " + std::to_string(modules.size()) + " places of its " +
               std::to_string(full) +
               ": where it does not, its placeholders would be read as tokens. Give it all layers and sites");
    }
  }
  parallel_for(static_cast<Index>(modules.size()), [&](Index m, Index) {  // skeletons take time
    auto& grafted = modules[static_cast<std::size_t>(m)];
    make(be, model, grafted, random.child(static_cast<std::uint64_t>(m)));
  });
  share_frozen(part, make);
}

/// Full's gradient is that of y = W x: where another module edits x or y of the same map, W acts through the edit too.
template <class AttachedType>
void refuse_edits_of_trained_maps(AttachedType& attached) {
  std::vector<std::string> trained;
  attached.for_each_module([&](const auto& recipe, const Placement&, const auto& grafted) {
    if constexpr (std::same_as<std::remove_cvref_t<decltype(recipe)>, adapters::Full>) {
      trained.push_back(grafted.place.name);
    }
  });
  attached.for_each_module([&](const auto& recipe, const Placement&, const auto& grafted) {
    bool changes = false;
    if constexpr (requires { grafted.module.edits_input(); }) {
      changes = changes || grafted.module.edits_input();
    }
    if constexpr (requires { grafted.module.edits_output(); }) {
      changes = changes || grafted.module.edits_output();
    }
    if (changes && std::find(trained.begin(), trained.end(), grafted.place.name) != trained.end()) {
      fail("adapter.642",
           "\"" + std::string(recipe.name) +
               "\" edits what a weight reads or gives, and full finetuning trains that weight",
           grafted.place.name);
    }
  });
}

}  // namespace detail

/// Makes a module as its recipe starts it; files make them otherwise.
struct FreshModules {
  /// `random` is the module's own: no other draws from it.
  template <class A, class Model>
  void operator()(const typename Model::Backend& be, Model& model, Grafted<A, typename Model::C>& grafted,
                  Random random) const {
    grafted.module = detail::make_module(grafted.recipe, be, model, grafted.place, random);
  }
};

/// Makes all modules of a stack; random starts are functions of `seed`. The model outlives what is attached to it, and
/// does not move.
template <class Model, class MakeModule = FreshModules, class... Ats>
[[nodiscard]] Attached<typename Model::C, Stack<Ats...>> attach(const typename Model::Backend& be, Model& model,
                                                                const Stack<Ats...>& stack, std::uint64_t seed,
                                                                const MakeModule& make = {}) {
  Attached<typename Model::C, Stack<Ats...>> attached;
  attached.layers = model.layer_count();
  [&]<std::size_t... I>(std::index_sequence<I...>) {
    (detail::attach_part(std::get<I>(attached.parts), std::get<I>(stack.parts), be, model, Random(seed, I << 32), make),
     ...);
  }(std::index_sequence_for<Ats...>{});
  if constexpr ((std::same_as<typename Ats::Adapter, adapters::Full> || ...)) {
    detail::refuse_edits_of_trained_maps(attached);
  }
  return attached;
}

/// The stack's recipes as their types have them, all at one placement.
template <class StackType, class Model>
[[nodiscard]] auto attach(const typename Model::Backend& be, Model& model, const Placement& placement,
                          std::uint64_t seed) {
  StackType stack;
  std::apply([&](auto&... at) { ((at.placement = placement), ...); }, stack.parts);
  return attach(be, model, stack, seed);
}

}  // namespace graft
