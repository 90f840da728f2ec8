// SPDX-License-Identifier: Apache-2.0
// SkeletonFile: the skeletons of a model's linear maps, chosen once: a safetensors file of index lists J and K a module, with
// the fingerprint of the weights and the settings of the choice in its metadata.
#pragma once

#include <concepts>
#include <cstdint>
#include <map>
#include <string>
#include <utility>  // in_range
#include <vector>

#include <graft/adapters/policies/selector.hpp>  // Skeleton
#include <graft/io/decode.hpp>
#include <graft/io/json.hpp>
#include <graft/io/safetensors.hpp>
#include <graft/models/attach.hpp>
#include <graft/models/fingerprint.hpp>

namespace graft::models {

/// How skeletons were chosen: all that their lists depend on beside the weights.
struct SkeletonChoice {
  std::string selector;    ///< the policy's name
  Index columns = 0;       ///< c
  Index rows = 0;          ///< r
  bool clamp = false;      ///< fewer where a map is smaller
  std::uint64_t seed = 0;  ///< of selectors that draw

  friend bool operator==(const SkeletonChoice&, const SkeletonChoice&) = default;

  /// For messages.
  [[nodiscard]] std::string text() const {
    return selector + ", " + std::to_string(columns) + " columns, " + std::to_string(rows) + " rows" +
           (clamp ? ", clamped" : "") + ", seed " + std::to_string(seed);
  }
};

/// Lists by module path; a file that selection has not finished lacks some.
struct SkeletonFile {
  std::string path;                        ///< of the file
  Fingerprint base;                        ///< of the weights
  SkeletonChoice choice;                   ///< for all modules
  std::map<std::string, Skeleton> chosen;  ///< "model.layers.0.self_attn.q_proj" -> J, K

  /// The skeleton of a module, or adapter.692 where the file has none.
  [[nodiscard]] const Skeleton& of(const std::string& module) const {
    const auto found = chosen.find(module);
    if (found == chosen.end()) {
      fail(
          "adapter.692",
          "the file holds no skeleton of \"" + module + "\" (run graft select on it with this target and these layers)",
          path);
    }
    return found->second;
  }
  /// Skeletons that were chosen from other weights are adapter.691.
  void check_base(const Fingerprint& model) const {
    if (base != model) {
      fail("adapter.691", "the skeletons were chosen from " + base.text() + "; this model has " + model.text(), path);
    }
  }
};

/// Writes the file whole, in place of an older one.
inline void write_skeletons(const SkeletonFile& file) {
  std::vector<io::TensorRef> tensors;
  const auto add = [&](const std::string& name, const std::vector<std::int32_t>& list) {
    const Index count = std::ssize(list);
    tensors.push_back(io::tensor_ref(name, View<const std::int32_t>(list.data(), 1, count), {count}));
  };
  for (const auto& [module, skeleton] : file.chosen) {
    add(module + ".J", skeleton.columns);
    add(module + ".K", skeleton.rows);
  }
  const io::Json choice = {{"selector", file.choice.selector},
                           {"columns", file.choice.columns},
                           {"rows", file.choice.rows},
                           {"clamp", file.choice.clamp},
                           {"seed", file.choice.seed}};
  io::write_safetensors(file.path, tensors,
                        {{"graft", "skeletons"}, {"base", to_json(file.base).dump()}, {"choice", choice.dump()}});
}

/// Reads it; a file that is none of skeletons, or is damaged, is adapter.690.
[[nodiscard]] inline SkeletonFile open_skeletons(const std::string& path) {
  const auto tensors = io::Safetensors::open(path);
  const auto& metadata = tensors.metadata();
  const auto refuse = [&](const std::string& what) { fail("adapter.690", what + ": no file of graft select", path); };
  if (!metadata.contains("graft") || metadata.at("graft") != "skeletons" || !metadata.contains("base") ||
      !metadata.contains("choice")) {
    refuse("the metadata lack \"graft\": \"skeletons\" with base and choice");
  }
  SkeletonFile file;
  file.path = path;
  file.base = fingerprint_from(io::parse_json(metadata.at("base"), path), path);
  const io::Json choice = io::parse_json(metadata.at("choice"), path);
  file.choice = {io::json_get<std::string>(choice, "selector", path), io::json_get<Index>(choice, "columns", path),
                 io::json_get<Index>(choice, "rows", path), io::json_get<bool>(choice, "clamp", path),
                 io::json_get<std::uint64_t>(choice, "seed", path)};
  for (const io::TensorRef& tensor : tensors.tensors()) {
    const std::string_view name = tensor.name;
    if (!name.ends_with(".J") && !name.ends_with(".K")) {
      refuse("tensor \"" + tensor.name + "\" is no list J or K of a module");
    }
    Skeleton& skeleton = file.chosen[tensor.name.substr(0, name.size() - 2)];
    auto& list = name.ends_with("J") ? skeleton.columns : skeleton.rows;
    for (const Index index : io::read_integers(tensor)) {
      if (!std::in_range<std::int32_t>(index)) {
        refuse("tensor \"" + tensor.name + "\" holds the index " + std::to_string(index));
      }
      list.push_back(static_cast<std::int32_t>(index));
    }
  }
  return file;
}

/// For attach: makes PMSS modules with the file's skeletons, where others would select theirs.
struct PreparedModules {
  const SkeletonFile& file;  ///< must outlive the call of attach

  /// A list that does not fit the recipe is adapter.611.
  template <class A, class Model>
  void operator()(const typename Model::Backend& be, Model& model, Grafted<A, typename Model::C>& grafted,
                  Random random) const {
    using Module = typename A::template Module<typename Model::C>;
    if constexpr (std::constructible_from<Module, const A&, Skeleton, const Place&>) {
      grafted.module = Module(grafted.recipe, file.of(grafted.place.name), grafted.place);
    } else {
      FreshModules{}(be, model, grafted, random);
    }
  }
};

}  // namespace graft::models
