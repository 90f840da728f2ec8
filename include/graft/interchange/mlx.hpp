// SPDX-License-Identifier: Apache-2.0
// mlx: reads the folder of an adapter that mlx-lm trained, LoRA or DoRA: adapter_config.json and adapters.safetensors.
//
// y = W0 x + scale (x lora_a) lora_b: lora_a(M,r) and lora_b(r,N) are transposes of A and B, scale is the whole factor, so
// alpha = scale r; DoRA has m beside them. num_layers counts from the last layer. Source: github.com/ml-explore/mlx-lm.
#pragma once

#include <algorithm>  // find, max
#include <memory>     // make_shared
#include <optional>
#include <set>
#include <string>
#include <utility>  // pair
#include <vector>

#include <graft/adapters/dora.hpp>
#include <graft/adapters/lora.hpp>
#include <graft/interchange/asked_tensors.hpp>
#include <graft/interchange/layer_names.hpp>
#include <graft/interchange/peft_reader.hpp>
#include <graft/models/adapter_directory.hpp>

namespace graft::interchange {

/// The tensors in a folder of mlx-lm.
inline constexpr std::string_view mlx_tensors_name = "adapters.safetensors";

/// Whether the folder holds an adapter of mlx-lm.
[[nodiscard]] inline bool is_mlx_folder(const std::string& folder) {
  return io::exists(io::join(folder, mlx_tensors_name)) && !io::exists(io::join(folder, models::adapter_tensors_name));
}

namespace detail {

/// What adapter_config.json of mlx-lm says of the adapter; the rest of it is about training.
struct MlxConfig {
  bool is_dora = false;
  Index last_layers = -1;  // 0 and less: all
  adapters::Lora<> recipe;
  std::optional<std::vector<std::string>> keys;  // none: every linear map of a block
};

[[nodiscard]] inline MlxConfig read_mlx_config(const io::Json& json, const std::string& where) {
  MlxConfig config;
  const auto type = io::json_get_or<std::string>(json, "fine_tune_type", "lora", where);
  if (type != "lora" && type != "dora") {
    fail("adapter.822",
         "fine_tune_type is \"" + type + "\", expected \"lora\" or \"dora\"" +
             (type == "full" ? ": this folder holds weights of the model; mlx_lm.fuse makes a model of them" : ""),
         where);
  }
  config.is_dora = type == "dora";
  config.last_layers = io::json_get<Index>(json, "num_layers", where);
  const auto parameters = io::json_get<io::Json>(json, "lora_parameters", where);
  for (const auto& [key, value] : parameters.items()) {
    if (key != "rank" && key != "scale" && key != "dropout" && key != "keys") {
      fail("adapter.823",
           "lora_parameters." + key + " is " + value.dump().substr(0, 60) +
               ", which mlx-lm does not read, so the folder means something else",
           where);
    }
  }
  config.recipe.rank = io::json_get<Index>(parameters, "rank", where);
  config.recipe.alpha =
      io::json_get<double>(parameters, "scale", where) * static_cast<double>(std::max<Index>(config.recipe.rank, 1));
  config.recipe.dropout = io::json_get_or<double>(parameters, "dropout", 0, where);
  if (config.recipe.rank < 1 || !(config.recipe.dropout >= 0 && config.recipe.dropout < 1)) {
    fail("adapter.823",
         "lora_parameters is " + parameters.dump().substr(0, 120) + ", expected rank >= 1 and 0 <= dropout < 1", where);
  }
  if (parameters.contains("keys") && !parameters["keys"].is_null()) {
    config.keys = io::json_get<std::vector<std::string>>(parameters, "keys", where);
  }
  return config;
}

/// The modules that mlx-lm converts: names inside the last layers, whole paths anywhere. A key that names nothing goes to
/// `warnings`; one that names a table, or no key that names a map, is adapter.824.
[[nodiscard]] inline std::vector<std::pair<Index, Sites>> mlx_modules(const MlxConfig& config, Index layers,
                                                                      const std::string& where,
                                                                      std::vector<std::string>& warnings) {
  const Index first = config.last_layers <= 0 ? 0 : std::max<Index>(0, layers - config.last_layers);
  std::set<std::string> idle;
  if (config.keys) {
    idle.insert(config.keys->begin(), config.keys->end());
  }
  const std::set<std::string> asked = idle;
  std::vector<std::pair<Index, Sites>> modules;
  for (Index l = 0; l < layers; ++l) {
    for (Sites one = 1; one <= site::down; one <<= 1) {
      const std::string name(site_name(one));
      const std::string path = module_path(l, one);
      idle.erase(path);
      if (l >= first) {
        idle.erase(name);
      }
      if (asked.contains(path) || (l >= first && (!config.keys || asked.contains(name)))) {
        modules.emplace_back(l, one);
      }
    }
  }
  for (const Sites one : {site::embedding, site::head}) {
    if (idle.contains(module_path(0, one))) {
      fail("adapter.824", "lora_parameters.keys names \"" + module_path(0, one) + "\", where graft puts no LoRA",
           where);
    }
  }
  if (modules.empty()) {
    fail("adapter.824",
         "lora_parameters.keys " + io::Json(asked).dump().substr(0, 80) +
             " names no projection of the last layers, as in \"self_attn.q_proj\"",
         where);
  }
  for (const std::string& key : idle) {
    warnings.push_back("key \"" + key + "\" of " + where + " names no module of the model");
  }
  return modules;
}

}  // namespace detail

/// Reads a folder of mlx-lm as if graft had written it; `config` is its adapter_config.json, `layers` the model's number of
/// layers (0: as many as the file names). What is neither LoRA nor DoRA is adapter.822, other settings adapter.823, other
/// places adapter.824.
[[nodiscard]] inline models::AdapterFile open_mlx(const std::string& folder, const io::Json& config, Index layers = 0) {
  const std::string where = io::join(folder, models::adapter_config_name);
  const detail::MlxConfig mlx = detail::read_mlx_config(config, where);
  models::AdapterFile file;
  file.path = folder;
  file.peft_type = mlx.is_dora ? "mlx-lm DoRA" : "mlx-lm LoRA";
  file.base_model = io::json_get_or<std::string>(config, "model", "", where);
  AskedTensors theirs(io::Safetensors::open(io::join(folder, mlx_tensors_name)));
  layers = layers > 0 ? layers : detail::layers_named(theirs.file().tensors(), "model.layers.");
  const auto modules = detail::mlx_modules(mlx, layers, where, file.warnings);
  models::AdapterPart part;
  part.adapter = mlx.is_dora ? adapters::Dora<>::name : adapters::Lora<>::name;
  part.policies = mlx.is_dora ? models::policies_of<adapters::Dora<>>() : models::policies_of<adapters::Lora<>>();
  part.settings = models::settings_of(mlx.recipe);  // DoRA's have the same names
  part.placement = detail::placement_of(modules, layers);
  const auto ours = std::make_shared<models::Float32Tensors>();
  for (const auto& [layer, one] : modules) {
    const std::string name = module_path(layer, one);
    const std::string own = name + "." + part.adapter + ".";
    const auto keep = [&](const char* key, View<const double> values) { ours->add(own + key, values); };
    keep("lora_A.weight", detail::transposed(theirs.get(name + ".lora_a", 0, mlx.recipe.rank).view()).view());
    keep("lora_B.weight", detail::transposed(theirs.get(name + ".lora_b", mlx.recipe.rank, 0).view()).view());
    if (mlx.is_dora) {
      keep("lora_magnitude_vector", theirs.get(name + ".m", 1, 0).view());
    }
  }
  theirs.nothing_left();
  file.tensors = {theirs.file().path(), ours->refs(), ours};
  file.parts.push_back(std::move(part));
  return file;
}

}  // namespace graft::interchange
