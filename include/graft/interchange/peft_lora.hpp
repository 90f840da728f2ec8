// SPDX-License-Identifier: Apache-2.0
// peft_lora: reads the folder of a PEFT LoRA with every rule that decides which module gets which rank and scale.
// Source: github.com/huggingface/peft, tuners/lora/config.py, tuners/tuners_utils.py (check_target_module_exists).
#pragma once

#include <cmath>
#include <optional>
#include <string>
#include <string_view>
#include <utility>  // pair
#include <vector>

#include <graft/adapters/lora.hpp>
#include <graft/io/path.hpp>
#include <graft/models/adapter_directory.hpp>
#include <graft/models/adapter_file.hpp>
#include <graft/text/backtracking.hpp>

namespace graft::interchange {

namespace detail {

/// Python's re.fullmatch. Anchors at the ends are what fullmatch means already, so they are dropped.
[[nodiscard]] inline bool full_match(std::string_view pattern, const std::string& text, text::PatternCompiler compile,
                                     const std::string& where) {
  pattern.remove_prefix(pattern.starts_with('^') ? 1 : 0);
  pattern.remove_suffix(pattern.ends_with('$') && !pattern.ends_with("\\$") ? 1 : 0);
  std::vector<text::Span> found;
  compile("(?:" + std::string(pattern) + ")(?![\\s\\S])", where).find_all(text, found);
  return !found.empty() && found.front().begin == 0 && found.front().end == text.size();
}

/// adapter_config.json of a LoRA: asks for values, and refuses what graft does not compute.
class PeftConfig {
 public:
  PeftConfig(const io::Json& json, std::string where, text::PatternCompiler compile)
      : json_(json), where_(std::move(where)), compile_(compile) {}

  template <class T>
  [[nodiscard]] T get(const char* key, T fallback) const {
    return io::json_get_or<T>(json_, key, std::move(fallback), where_);
  }
  [[nodiscard]] const io::Json& raw(const char* key) const {
    static const io::Json nothing;
    const auto found = json_.find(key);
    return found == json_.end() ? nothing : *found;
  }
  [[noreturn]] void refuse(const std::string& key, const std::string& expected) const {
    fail("adapter.670",
         "key \"" + key + "\" is " + json_.value(key, io::Json()).dump().substr(0, 80) +
             ", which graft does not compute (expected " + expected + ")",
         where_);
  }

  /// Keys that change the result must have their neutral value; unknown ones too, and these are reported.
  [[nodiscard]] std::vector<std::string> check_keys() const {
    static constexpr std::string_view understood[] = {
        "peft_type",    "r",          "target_modules", "exclude_modules",     "lora_alpha",     "lora_dropout",
        "rank_pattern", "use_rslora", "alpha_pattern",  "layers_to_transform", "layers_pattern", "init_lora_weights",
        "task_type",    "bias"};
    static constexpr std::string_view without_effect[] = {
        "auto_mapping", "base_model_name_or_path", "inference_mode",    "peft_version", "revision",
        "eva_config",   "megatron_core",           "qalora_group_size", "loftq_config", "ensure_weight_tying",
        "corda_config", "runtime_config"};
    static constexpr std::string_view refused[] = {
        "fan_in_fan_out",    "lora_bias",  "use_dora",          "modules_to_save",         "trainable_token_indices",
        "target_parameters", "use_qalora", "layer_replication", "alora_invocation_tokens", "arrow_config",
        "megatron_config",   "use_bdlora", "kasa_config",       "velora_config",           "monteclora_config",
        "lora_ga_config"};
    const auto among = [](std::string_view key, const auto& list) {
      return std::find(std::begin(list), std::end(list), key) != std::end(list);
    };
    std::vector<std::string> warnings;
    for (const auto& [key, value] : json_.items()) {
      if (among(key, understood) || among(key, without_effect)) {
        continue;
      }
      const bool neutral =
          value.is_null() || value == false || ((value.is_structured() || value == "") && value.empty());
      if (!neutral && among(key, refused)) {
        refuse(key, "null or false");
      }
      if (!neutral) {
        fail("adapter.671",
             "key \"" + key + "\" is unknown and holds " + value.dump().substr(0, 80) + ", so it may change the result",
             where_);
      }
      if (!among(key, refused)) {
        warnings.push_back("key \"" + key + "\" of " + where_ + " is unknown; it is empty and was passed over");
      }
    }
    if (get<std::string>("bias", "none") != "none") {
      refuse("bias", "\"none\"");
    }
    if (get<std::string>("task_type", "CAUSAL_LM") != "CAUSAL_LM") {
      refuse("task_type", "\"CAUSAL_LM\"");
    }
    const io::Json& start = raw("init_lora_weights");
    const auto word = start.is_string() ? start.get<std::string>() : std::string("true");
    if (!(start.is_null() || start.is_boolean() || word == "gaussian" || word == "orthogonal" || word == "eva")) {
      refuse("init_lora_weights",
             "true, false, \"gaussian\", \"orthogonal\" or \"eva\": others change the base weights");
    }
    return warnings;
  }

  /// Whether LoRA stands at this module of a model.
  [[nodiscard]] bool targets(Index layer, const std::string& module) const {
    if (named_by("exclude_modules", module) != Named::no) {
      return false;
    }
    const Named named = named_by("target_modules", module);
    return named == Named::whole || (named == Named::ending && in_layers(layer));
  }
  /// The targets of a list that name none of these modules.
  [[nodiscard]] std::vector<std::string> idle_targets(const std::vector<std::string>& modules) const {
    std::vector<std::string> idle;
    if (raw("target_modules").is_array()) {
      for (const auto& target : get<std::vector<std::string>>("target_modules", {})) {
        const auto hit = [&](const std::string& module) { return module == target || module.ends_with("." + target); };
        if (std::none_of(modules.begin(), modules.end(), hit)) {
          idle.push_back(target);
        }
      }
    }
    return idle;
  }
  /// The entry of rank_pattern or alpha_pattern for a module: the first key that matches its end.
  template <class T>
  [[nodiscard]] T pattern_value(const char* key, const std::string& module, T fallback) const {
    const io::Json& patterns = raw(key);
    if (!patterns.is_null() && !patterns.is_object()) {
      refuse(key, "an object from module patterns to numbers");
    }
    for (const auto& [pattern, value] : patterns.items()) {
      if (full_match("(.*\\.)?(" + pattern + ")", module, compile_, where_)) {
        return io::json_as<T>(value, std::string(key) + "." + pattern, where_);
      }
    }
    return fallback;
  }

 private:
  enum class Named { no, ending, whole };  // a list names the end of a path, or all of it; a regex always all

  [[nodiscard]] Named named_by(const char* key, const std::string& module) const {
    const io::Json& value = raw(key);
    if (value.is_null()) {
      return Named::no;
    }
    if (value.is_string()) {
      const auto text = value.get<std::string>();
      const bool found = text == "all-linear" ? projection(module) : full_match(text, module, compile_, where_);
      return found ? Named::whole : Named::no;
    }
    Named named = Named::no;
    for (const auto& name : get<std::vector<std::string>>(key, {})) {
      if (module == name) {
        return Named::whole;
      }
      named = module.ends_with("." + name) ? Named::ending : named;
    }
    return named;
  }
  [[nodiscard]] static bool projection(const std::string& module) { return module.ends_with("_proj"); }

  [[nodiscard]] bool in_layers(Index layer) const {
    const io::Json& chosen = raw("layers_to_transform");
    const io::Json& pattern = raw("layers_pattern");
    if (!(pattern.is_null() || pattern.empty() || pattern == "layers" || pattern == io::Json{"layers"})) {
      refuse("layers_pattern", "null or \"layers\"");
    }
    if (chosen.is_null() || (chosen.is_array() && chosen.empty())) {
      return true;
    }
    const auto list = chosen.is_array() ? get<std::vector<Index>>("layers_to_transform", {})
                                        : std::vector<Index>{get<Index>("layers_to_transform", 0)};
    return std::find(list.begin(), list.end(), layer) != list.end();
  }

  const io::Json& json_;
  std::string where_;
  text::PatternCompiler compile_;
};

inline constexpr std::string_view peft_prefix = "base_model.model.";

/// How many layers the names in the file speak of.
[[nodiscard]] inline Index layers_named(const io::NamedTensors& tensors) {
  const std::string start = std::string(peft_prefix) + "model.layers.";
  Index layers = 0;
  for (const io::TensorRef& tensor : tensors.tensors()) {
    Index layer = -1;
    for (std::size_t i = start.size(); tensor.name.starts_with(start) && i < tensor.name.size() && layer < 4096; ++i) {
      const char c = tensor.name[i];
      if (c < '0' || c > '9') {
        break;
      }
      layer = std::max<Index>(layer, 0) * 10 + (c - '0');
    }
    layers = std::max(layers, std::min<Index>(layer + 1, 4096));
  }
  return layers;
}

/// Where the modules stand: layers x sites where they are such a product, a list of modules otherwise.
[[nodiscard]] inline Placement placement_of(const std::vector<std::pair<Index, Sites>>& modules, Index layers) {
  std::vector<Sites> of_layer(static_cast<std::size_t>(layers), site::none);
  Placement placement;
  placement.sites = site::none;
  for (const auto& [layer, one] : modules) {
    of_layer[static_cast<std::size_t>(layer)] |= one;
    placement.sites |= one;
  }
  std::vector<Index> used;
  bool product = true;
  for (Index l = 0; l < layers; ++l) {
    const Sites sites = of_layer[static_cast<std::size_t>(l)];
    if (sites != site::none) {
      used.push_back(l);
      product = product && sites == placement.sites;
    }
  }
  if (std::ssize(used) != layers) {
    placement.layers = only_layers(used);
  }
  for (const auto& [layer, one] : modules) {
    if (!product) {
      placement.modules.push_back(module_path(layer, one));
    }
  }
  return placement;
}

}  // namespace detail

/// Reads a PEFT LoRA; `config` is its adapter_config.json, `layers` the model's number of layers (0: as many as the file
/// names, to look at it without a model). rsLoRA comes as an alpha that gives its scale. A regex goes through `compile`.
[[nodiscard]] inline models::AdapterFile open_peft_lora(const std::string& folder, const io::Json& config,
                                                        Index layers = 0,
                                                        text::PatternCompiler compile = &text::compile_builtin) {
  const std::string where = io::join(folder, models::adapter_config_name);
  const detail::PeftConfig peft(config, where, compile);
  models::AdapterFile file;
  file.path = folder;
  file.peft_type = "LORA";
  file.prefix = detail::peft_prefix;
  file.base_model = peft.get<std::string>("base_model_name_or_path", "");
  file.warnings = peft.check_keys();
  file.tensors = io::Safetensors::open(io::join(folder, models::adapter_tensors_name));
  layers = layers > 0 ? layers : detail::layers_named(file.tensors);

  const auto recipe_of = [&](const std::string& module) {
    adapters::Lora<> recipe;
    recipe.rank = peft.pattern_value<Index>("rank_pattern", module, peft.get<Index>("r", 8));
    recipe.alpha = peft.pattern_value<double>("alpha_pattern", module, peft.get<double>("lora_alpha", 8));
    recipe.dropout = peft.get<double>("lora_dropout", 0);
    if (recipe.rank < 1 || !(recipe.dropout >= 0 && recipe.dropout < 1)) {
      peft.refuse(recipe.rank < 1 ? "r" : "lora_dropout", recipe.rank < 1 ? "a rank of at least 1" : "0 <= p < 1");
    }
    recipe.alpha *= peft.get<bool>("use_rslora", false) ? std::sqrt(static_cast<double>(recipe.rank)) : 1;
    return models::settings_of(recipe);
  };
  models::AdapterPart part;
  part.adapter = adapters::Lora<>::name;
  part.policies = models::policies_of<adapters::Lora<>>();
  part.settings = recipe_of("");
  std::vector<std::pair<Index, Sites>> chosen;
  std::vector<std::string> candidates;
  for (Index l = 0; l < layers; ++l) {
    for (Sites one = 1; one <= site::down; one <<= 1) {
      const std::string module = candidates.emplace_back(module_path(l, one));
      if (peft.targets(l, module)) {
        chosen.emplace_back(l, one);
        if (io::Json settings = recipe_of(module); settings != part.settings) {
          part.exceptions[module + "." + part.adapter] = std::move(settings);
        }
      }
    }
  }
  for (const Sites one : {site::embedding, site::head}) {
    candidates.push_back(module_path(0, one));
    if (peft.targets(0, candidates.back())) {
      fail("adapter.672", "target_modules names \"" + candidates.back() + "\", where graft puts no LoRA", where);
    }
  }
  if (chosen.empty()) {
    fail("adapter.672",
         "target_modules " + peft.raw("target_modules").dump().substr(0, 80) + " names no projection of the model",
         where);
  }
  for (const std::string& idle : peft.idle_targets(candidates)) {
    file.warnings.push_back("target \"" + idle + "\" of " + where + " names no module of the model");
  }
  part.placement = detail::placement_of(chosen, layers);
  file.parts.push_back(std::move(part));
  return file;
}

}  // namespace graft::interchange
