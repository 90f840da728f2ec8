// SPDX-License-Identifier: Apache-2.0
// Attached: the modules of a stack, made for every layer and site it names; the object that training walks and saves.
#pragma once

#include <optional>
#include <vector>

#include <graft/adapters/stack.hpp>
#include <graft/core/reach.hpp>

namespace graft {

/// One module, where it stands, and the recipe that made it (its part's, unless a file gave it another rank).
template <class A, scalar T>
struct Grafted {
  typename A::template Module<T> module;  ///< its parameters, forward and backward
  Place place;                            ///< layer, site and extents
  Part part = Part::both;                 ///< the share of the positions that it edits
  A recipe{};                             ///< its part's, or the file's own

  /// The prefix of its parameters' names: module path, part where untied, adapter.
  [[nodiscard]] std::string path() const {
    const char* const parts[] = {".", ".prefix.", ".suffix."};
    return place.name + parts[static_cast<int>(part)] + std::string(A::name);
  }
};

/// All modules of one part of a stack, with a table from (layer, site) to the run of them that stands there.
template <class A, scalar T>
struct Grafts {
  A adapter;                           ///< the recipe
  Placement placement;                 ///< which layers, sites and positions were asked for
  std::vector<Grafted<A, T>> modules;  ///< by layer, site and part
  std::vector<RowRange> slots;  ///< run of modules at [layer * site::count + site_index]; empty where none is asked for

  /// The run of modules at one site of a layer; it has no rows where none stands.
  [[nodiscard]] RowRange at(Index layer, Sites one) const {
    return slots.empty() ? RowRange{} : slots[static_cast<std::size_t>(layer * site::count + site_index(one))];
  }
};

template <scalar T, class StackType>
class Attached;

/// A stack with parameters. Sites that stand once a model (embedding, final norm, head) live in the slot of layer 0.
template <scalar T, class... Ats>
class Attached<T, Stack<Ats...>> {
 public:
  using Scalar = T;                 ///< of every parameter
  using StackType = Stack<Ats...>;  ///< the recipes it was made of

  std::tuple<Grafts<typename Ats::Adapter, T>...> parts;  ///< in the order of the stack
  Index layers = 0;                                       ///< of the model

  /// Calls visit(recipe, placement, grafted) for every module, in the order of parts, layers and sites.
  template <class Visitor>
  void for_each_module(Visitor&& visit) {
    std::apply([&](auto&... part) { (each_of(part, visit), ...); }, parts);
  }
  /// Calls visit(name, parameter); names are unique where the modules at one place are of different adapters.
  template <class Visitor>
  void for_each_parameter(Visitor&& visit) {
    for_each_module([&](const auto&, const Placement&, auto& grafted) {
      const std::string path = grafted.path() + ".";
      grafted.module.for_each_parameter([&](const char* name, Parameter<T>& p) { visit(path + name, p); });
    });
  }
  /// Constraints are restored (an orthonormal basis) after the optimizer has moved the parameters.
  template <class B>
  void after_step(const B& be) {
    for_each_module([&](const auto&, const Placement&, auto& grafted) {
      if constexpr (requires { grafted.module.after_step(be); }) {
        grafted.module.after_step(be);
      }
    });
  }

  /// Placeholders that a sequence needs before its first token (train::Batch::push): the sum over the parts that insert.
  [[nodiscard]] Index inserted() const {
    return std::apply([](const auto&... part) { return (Index{0} + ... + inserted_by(part)); }, parts);
  }
  /// Those of one part.
  template <class A>
  [[nodiscard]] static Index inserted_by(const Grafts<A, T>& part) {
    if constexpr (inserting_adapter<A>) {
      return part.modules.empty() ? 0 : part.modules.front().recipe.inserted();
    } else {
      return 0;
    }
  }

  /// Whether any module stands at one of the sites of a layer.
  [[nodiscard]] bool any(Index layer, Sites sites) const {
    return std::apply([&](const auto&... part) { return (any_of(part, layer, sites) || ...); }, parts);
  }
  /// How far the gradient must travel in a layer; nothing where no module stands here or below.
  [[nodiscard]] std::optional<Reach> reach(Index layer) const {
    bool below = any(0, site::embedding | site::embedded);
    for (Index l = 0; l < layer; ++l) {
      below = below || any(l, site::in_block);
    }
    if (below) {
      return Reach::input;
    }
    if (any(layer, site::query | site::key | site::value | site::keys | site::values | site::attention_norm |
                       site::query_norm | site::key_norm)) {
      return Reach::attention;
    }
    if (any(layer, site::output | site::attention)) {
      return Reach::output;
    }
    if (any(layer, site::gate | site::up | site::down | site::feed_forward | site::feed_forward_norm)) {
      return Reach::feed_forward;
    }
    return any(layer, site::residual) ? std::optional(Reach::edits_only) : std::nullopt;
  }

 private:
  template <class Part, class Visitor>
  static void each_of(Part& part, Visitor& visit) {
    for (auto& grafted : part.modules) {
      visit(part.adapter, part.placement, grafted);
    }
  }
  template <class Part>
  [[nodiscard]] static bool any_of(const Part& part, Index layer, Sites sites) {
    for (Sites one = 1; one < (1u << site::count); one <<= 1) {
      if ((sites & one) != 0 && part.at(layer, one).rows > 0) {
        return true;
      }
    }
    return false;
  }
};

}  // namespace graft
