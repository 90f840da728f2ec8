// SPDX-License-Identifier: Apache-2.0
// adapterhub: reads a ReFT that AdapterHub's library `adapters` saved: adapter_config.json and one file of tensors.
//
// A layer has one unit (tied) or two (prefix, suffix): h + (f(W h + b) - R h) R with learned_source (W, b) and projection (R).
// An orthonormal R is stored as torch's parametrisation, original(r,d) and base(d,d): R' = base Q(original'). The file does
// not say whether R h is taken away. Source: github.com/adapter-hub/adapters, methods/reft.py.
#pragma once

#include <algorithm>  // count, max
#include <memory>     // make_shared
#include <string>
#include <string_view>
#include <utility>  // move
#include <vector>

#include <graft/adapters/subspace.hpp>
#include <graft/interchange/asked_tensors.hpp>
#include <graft/interchange/layer_names.hpp>
#include <graft/linalg/householder.hpp>
#include <graft/models/adapter_directory.hpp>

namespace graft::interchange {

/// The tensors in a folder of AdapterHub, where it was saved with use_safetensors.
inline constexpr std::string_view adapterhub_tensors_name = "adapter.safetensors";
/// The same, as torch.save wrote it.
inline constexpr std::string_view adapterhub_pickle_name = "pytorch_adapter.bin";

namespace detail {

/// config.config of adapter_config.json.
struct AdapterHubConfig {
  std::string name;  ///< of the adapter, in the keys
  io::Json policies;
  adapters::LoReft<> recipe;
  Placement placement;
  bool orthonormal = false;
};

/// The word of our source policy for a non_linearity; empty where graft does not compute it.
[[nodiscard]] inline std::string_view source_word(const io::Json& non_linearity) {
  using adapters::policies::Activated;
  const auto word = non_linearity.is_null()     ? "linear"
                    : non_linearity.is_string() ? non_linearity.get<std::string>()
                                                : "";
  if (word == "linear") {
    return adapters::policies::Affine::name;
  }
  if (word == "relu") {
    return Activated<ops::Activation::relu>::name;
  }
  if (word == "tanh") {
    return Activated<ops::Activation::tanh>::name;
  }
  if (word == "silu" || word == "swish") {
    return Activated<ops::Activation::silu>::name;
  }
  return word == "gelu_new" || word == "gelu_pytorch_tanh" ? Activated<ops::Activation::gelu_tanh>::name
                                                           : std::string_view();
}

[[nodiscard]] inline AdapterHubConfig read_adapterhub_config(const io::Json& json, const std::string& where) {
  namespace policies = adapters::policies;
  const auto inner = io::json_get<io::Json>(json, "config", where);
  const auto refuse = [&](const std::string& key, const std::string& expected) {
    fail("adapter.827",
         "config." + key + " is " + inner.value(key, io::Json()).dump().substr(0, 80) + ", expected " + expected,
         where);
  };
  if (const auto kind = io::json_get_or<std::string>(inner, "architecture", "bottleneck adapter", where);
      kind != "reft") {
    fail("adapter.826", "config.architecture is \"" + kind + "\"; of AdapterHub's adapters graft reads \"reft\"",
         where);
  }
  for (const auto& [key, value] : inner.items()) {
    static constexpr std::string_view known[] = {"architecture",
                                                 "dropout",
                                                 "dtype",
                                                 "init_weights_seed",
                                                 "layers",
                                                 "non_linearity",
                                                 "orthogonality",
                                                 "output_reft",
                                                 "prefix_positions",
                                                 "r",
                                                 "suffix_positions",
                                                 "tied_weights",
                                                 "subtract_projection"};
    if (std::count(std::begin(known), std::end(known), key) == 0 && !value.is_null()) {
      refuse(key, "a key of a ReFT");
    }
  }
  AdapterHubConfig config;
  config.name = io::json_get<std::string>(json, "name", where);
  config.orthonormal = io::json_get<bool>(inner, "orthogonality", where);
  config.recipe.rank = io::json_get<Index>(inner, "r", where);
  config.recipe.dropout = io::json_get_or<double>(inner, "dropout", 0, where);
  config.placement.sites = site::residual;
  config.placement.tied = io::json_get_or<bool>(inner, "tied_weights", false, where);
  config.placement.positions = ends(io::json_get<Index>(inner, "prefix_positions", where),
                                    io::json_get<Index>(inner, "suffix_positions", where));
  const Positions& positions = config.placement.positions;
  if (const auto layers = io::json_get<io::Json>(inner, "layers", where); layers != "all") {
    config.placement.layers = only_layers(io::json_get<std::vector<Index>>(inner, "layers", where));
  }
  if (config.recipe.rank < 1) {
    refuse("r", "a rank of at least 1");
  }
  if (!(config.recipe.dropout >= 0 && config.recipe.dropout < 1)) {
    refuse("dropout", "0 <= p < 1");
  }
  if (positions.first < 0 || positions.last < 0 || positions.first + positions.last == 0) {
    refuse(positions.first < 0 ? "prefix_positions" : "suffix_positions", "positions to edit");
  }
  if (!io::json_get_or<bool>(inner, "output_reft", true, where)) {
    refuse("output_reft", "true: without it adapters edits nothing");
  }
  const std::string_view source = source_word(inner.value("non_linearity", io::Json()));
  if (source.empty()) {
    refuse("non_linearity", "null, relu, tanh, swish or gelu_new");
  }
  if (!config.orthonormal && !inner.contains("subtract_projection")) {
    fail("adapter.828",
         "the file does not say whether it is a NoReFT or a DiReFT; write \"subtract_projection\": true (NoReFT) or "
         "false "
         "(DiReFT) into its \"config\", which adapters reads too (without it, it takes every DiReFT for a NoReFT)",
         where);
  }
  const bool subtracts = io::json_get_or<bool>(inner, "subtract_projection", true, where);
  config.policies = {
      {"basis", config.orthonormal ? policy_name<policies::Orthonormal>() : policy_name<policies::Free>()},
      {"source", source},
      {"form", subtracts ? policy_name<policies::Difference>() : policy_name<policies::Direct>()}};
  return config;
}

/// R(r,d) of a unit, as it is or from its parametrisation.
[[nodiscard]] inline Tensor<double> read_projection(AskedTensors& theirs, const std::string& unit, bool orthonormal,
                                                    Index rank, Index width) {
  if (!orthonormal) {
    return theirs.get(unit + "projection.weight", rank, width);
  }
  const std::string stem = unit + "projection.parametrizations.weight.";
  const auto original = theirs.get(stem + "original", rank, width);
  if (rank >= width) {
    fail("adapter.829",
         "\"" + stem + "original\" is " + std::to_string(rank) + " x " + std::to_string(width) +
             ": for a rank as large as the width torch takes another map, which graft does not evaluate",
         theirs.file().path());
  }
  const auto base = theirs.get(stem + "0.base", width, width);
  return linalg::orthonormal_rows(base.view(), transposed(original.view()).view());
}

}  // namespace detail

/// Reads a ReFT of AdapterHub as if graft had written it: `config` is its adapter_config.json, `tensors` its open file,
/// `layers` the model's number of layers (0: as many as the file names). Another architecture is adapter.826, an option that
/// graft does not compute adapter.827, NoReFT or DiReFT without a word on which adapter.828, a rank of the width adapter.829.
[[nodiscard]] inline models::AdapterFile read_adapterhub(const std::string& folder, const io::Json& config,
                                                         io::NamedTensors tensors, Index layers = 0) {
  const std::string where = io::join(folder, models::adapter_config_name);
  const detail::AdapterHubConfig reft = detail::read_adapterhub_config(config, where);
  const Placement& placement = reft.placement;
  const bool untied = placement.splits();
  models::AdapterFile file;
  file.path = folder;
  file.peft_type = "AdapterHub ReFT";
  file.base_model = io::json_get_or<std::string>(config, "model_name", "", where);
  AskedTensors theirs(std::move(tensors));
  layers = layers > 0 ? layers : detail::layers_named(theirs.file().tensors(), "layers.");
  const auto all = theirs.file().tensors();
  const std::string start = !all.empty() && all.front().name.starts_with("model.") ? "model.layers." : "layers.";
  const auto ours = std::make_shared<models::Float32Tensors>();
  for (Index l = 0; l < layers; ++l) {
    if (!placement.layers.contains(l)) {
      continue;
    }
    const std::string units = start + std::to_string(l) + ".reft_layer.refts." + reft.name + ".units.";
    const std::string own = module_path(l, site::residual) + ".";
    const auto take = [&](const char* number, const char* part) {
      const std::string unit = units + number;
      const Index rank = reft.recipe.rank;
      const auto w = theirs.get(unit + "learned_source.weight", rank, 0);
      const auto b = theirs.get(unit + "learned_source.bias", 1, rank);
      const auto r = detail::read_projection(theirs, unit, reft.orthonormal, rank, w.cols());
      const std::string path = own + part + std::string(adapters::LoReft<>::name) + ".";
      ours->add(path + "R", r.view());
      ours->add(path + "W", w.view());
      ours->add(path + "b", b.view());
    };
    const auto leave = [&](const char* number) {  // the end at which no position is edited
      for (const io::TensorRef& tensor : all) {
        if (!placement.tied && tensor.name.starts_with(units + number)) {
          theirs.pass_over(tensor.name);
        }
      }
    };
    if (untied) {
      take("0.", "prefix.");
      take("1.", "suffix.");
    } else {
      const bool opens = placement.tied || placement.positions.first > 0;
      take(opens ? "0." : "1.", "");
      leave(opens ? "1." : "0.");
    }
  }
  theirs.nothing_left();
  models::AdapterPart part;
  part.adapter = adapters::LoReft<>::name;
  part.policies = reft.policies;
  part.settings = models::settings_of(reft.recipe);
  part.placement = placement;
  file.parts.push_back(std::move(part));
  file.tensors = {theirs.file().path(), ours->refs(), ours};
  file.warnings.push_back(
      "adapters counts positions in the whole text that it is given, and in every token that it generates; graft "
      "counts "
      "in the prompt, at most half of it from either end");
  for (const char* head : {"pytorch_model_head.bin", "model_head.safetensors"}) {
    if (io::exists(io::join(folder, head))) {
      file.warnings.push_back(std::string(head) + " was passed over: the model keeps the head that it has");
    }
  }
  return file;
}

}  // namespace graft::interchange
