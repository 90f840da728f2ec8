// SPDX-License-Identifier: Apache-2.0
// AdapterFile: an adapter as it lies on disk: a description from which a program builds its stack, and named tensors.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include <graft/adapters/attached.hpp>
#include <graft/io/json.hpp>
#include <graft/io/named_tensors.hpp>
#include <graft/io/path.hpp>
#include <graft/models/fingerprint.hpp>

namespace graft::models {

/// One adapter of the file: which recipe, with which words and settings, and where its modules stand.
struct AdapterPart {
  std::string adapter;                         ///< "lora", "pmss", "subspace", or the name of one of the program's own
  io::Json policies = io::Json::object();      ///< as the recipe's for_each_policy gives them
  io::Json settings = io::Json::object();      ///< as the recipe's for_each_setting gives them
  std::map<std::string, io::Json> exceptions;  ///< settings of single modules that differ, by their path
  Placement placement;                         ///< where it was trained
};

/// Opened by open_adapter; nothing in it depends on a model yet.
struct AdapterFile {
  std::string path;                          ///< the folder
  std::string peft_type;                     ///< "LORA", or "GRAFT_..." for a folder of our own
  std::string base_model;                    ///< what the file calls its base
  std::optional<Fingerprint> base;           ///< of the weights it was trained on; PEFT keeps none
  std::vector<AdapterPart> parts;            ///< in the order of the stack
  io::NamedTensors tensors;                  ///< mapped, or in memory where the format is no place to read from
  std::string prefix;                        ///< PEFT's, before every key; then the adapter's name is not in the key
  std::vector<std::string> warnings;         ///< keys that were passed over, for the user to read
  std::map<std::string, std::string> names;  ///< "adapter.parameter" -> its name in the file, where that differs

  /// The key under which a parameter of a module is stored.
  template <class A, scalar T>
  [[nodiscard]] std::string key(const Grafted<A, T>& grafted, std::string_view name) const {
    const auto other = names.find(std::string(A::name) + "." + std::string(name));
    return prefix + (prefix.empty() ? grafted.path() : grafted.place.name) + "." +
           (other == names.end() ? std::string(name) : other->second);
  }
  /// The key of what all modules of an adapter share; PEFT keeps that beside the base model.
  template <class A>
  [[nodiscard]] std::string shared_key(std::string_view name) const {
    return (prefix.empty() ? std::string(A::name) : prefix.substr(0, prefix.find('.'))) + "." + std::string(name);
  }
  /// The tensor of that key and shape; a missing one is adapter.650, another shape adapter.651. A row may be a vector.
  [[nodiscard]] const io::TensorRef& tensor(const std::string& key, const std::vector<Index>& shape) const {
    const io::TensorRef* found = tensors.find(key);
    if (found == nullptr) {
      fail("adapter.650",
           "tensor \"" + key + "\" is missing; the nearest name in the file is \"" +
               io::nearest_name(key, tensors.tensors(), [](const io::TensorRef& t) { return t.name; }) + "\"",
           tensors.path());
    }
    const bool vector = shape.size() == 2 && shape[0] == 1 && found->shape == std::vector<Index>{shape[1]};
    if (found->shape != shape && !vector) {
      const bool transposed = std::equal(shape.rbegin(), shape.rend(), found->shape.begin(), found->shape.end());
      fail("adapter.651",
           "tensor \"" + key + "\" has shape " + io::shape_text(found->shape) + ", expected " + io::shape_text(shape) +
               (transposed ? ": it is transposed" : ""),
           tensors.path());
    }
    return *found;
  }
};

/// The settings of a recipe, by name.
template <class A>
[[nodiscard]] io::Json settings_of(A recipe) {
  io::Json settings = io::Json::object();
  recipe.for_each_setting([&](const char* name, const auto& value) { settings[name] = value; });
  return settings;
}

/// The words of a recipe's policies; an adapter without for_each_policy has none.
template <class A>
[[nodiscard]] io::Json policies_of() {
  io::Json policies = io::Json::object();
  const auto note = [&](const char* name, std::string_view word) { policies[name] = word; };
  if constexpr (requires { A::for_each_policy(note); }) {
    A::for_each_policy(note);
  }
  return policies;
}

/// Gives a recipe its settings; one too few is io.212, one too many adapter.653.
template <class A>
void apply_settings(A& recipe, const io::Json& settings, const std::string& where) {
  io::Json rest = settings;
  recipe.for_each_setting([&](const char* name, auto& value) {
    value = io::json_get<std::remove_reference_t<decltype(value)>>(settings, name, where);
    rest.erase(name);
  });
  if (!rest.empty()) {
    fail("adapter.653", "setting \"" + rest.begin().key() + "\" is none of adapter \"" + std::string(A::name) + "\"",
         where);
  }
}

namespace detail {

/// Gives the part to this place of the stack, if it is free and fits.
template <Sites S, class A>
bool take_part(At<S, A>& at, const AdapterPart& part, const std::string& where) {
  if (at.placement.sites != site::none || part.adapter != A::name || part.policies != policies_of<A>() ||
      (part.placement.sites & ~S) != 0) {
    return false;
  }
  apply_settings(at.adapter, part.settings, where);
  at.placement = part.placement;
  return true;
}

}  // namespace detail

/// The stack that the file describes: each part goes to the first At of that adapter, those policies and sites; the
/// places that are left stay empty. A part that fits none is adapter.654.
template <class StackType>
[[nodiscard]] StackType stack_of(const AdapterFile& file) {
  StackType stack;
  const std::string where = io::join(file.path, "adapter_config.json");
  std::apply([](auto&... at) { ((at.placement.sites = site::none), ...); }, stack.parts);
  for (const AdapterPart& part : file.parts) {
    if (!std::apply([&](auto&... at) { return (detail::take_part(at, part, where) || ...); }, stack.parts)) {
      fail("adapter.654",
           "this program has no place for adapter \"" + part.adapter + "\" with policies " + part.policies.dump() +
               " at the file's sites",
           where);
    }
  }
  return stack;
}

}  // namespace graft::models
