// SPDX-License-Identifier: Apache-2.0
// peft_lora: reads the folder of a PEFT LoRA or DoRA with every rule that decides which module gets which rank and scale.
// Source: github.com/huggingface/peft, tuners/lora/config.py and layer.py.
#pragma once

#include <cmath>
#include <string>
#include <vector>

#include <graft/adapters/bias.hpp>
#include <graft/adapters/dora.hpp>
#include <graft/adapters/lora.hpp>
#include <graft/interchange/peft_reader.hpp>

namespace graft::interchange {

namespace detail {

[[nodiscard]] inline PeftKeys lora_keys() {
  return {.understood = {"r", "target_modules", "exclude_modules", "lora_alpha", "lora_dropout", "rank_pattern",
                         "use_rslora", "alpha_pattern", "layers_to_transform", "layers_pattern", "init_lora_weights",
                         "bias", "use_dora", "lora_bias", "modules_to_save"},
          .without_effect = {"eva_config", "megatron_core", "qalora_group_size", "loftq_config", "ensure_weight_tying",
                             "corda_config"},
          .training = {},
          .refused = {"fan_in_fan_out", "trainable_token_indices", "target_parameters", "use_qalora",
                      "layer_replication", "alora_invocation_tokens", "arrow_config", "megatron_config", "use_bdlora",
                      "kasa_config", "velora_config", "monteclora_config", "lora_ga_config"}};
}

/// A recipe of the rank, alpha and dropout of a module. rsLoRA comes as an alpha that gives its scale.
template <class A>
[[nodiscard]] A low_rank_recipe(const PeftConfig& config, const std::string& module) {
  A recipe;
  recipe.rank = config.rank(module);
  recipe.alpha = config.pattern_value<double>("alpha_pattern", module, config.get<double>("lora_alpha", 8));
  recipe.alpha *= config.get<bool>("use_rslora", false) ? std::sqrt(static_cast<double>(recipe.rank)) : 1;
  recipe.dropout = config.dropout("lora_dropout");
  return recipe;
}

/// lora_bias: y += s bias, which is a part Bias that holds s bias.
inline void add_lora_bias(PeftReader& reader) {
  const models::AdapterPart low = reader.file.parts.front();
  models::AdapterPart part;
  part.adapter = adapters::Bias::name;
  part.placement = low.placement;
  reader.file.parts.push_back(std::move(part));
  reader.file.names["bias.bias"] = "lora_B.bias";
  const io::NamedTensors whole = reader.file.tensors;
  const std::string ending = ".lora_B.bias";
  for (const io::TensorRef& tensor : whole.tensors()) {
    if (!tensor.name.starts_with(peft_prefix) || !tensor.name.ends_with(ending)) {
      continue;
    }
    const auto own = low.exceptions.find(
        tensor.name.substr(peft_prefix.size(), tensor.name.size() - peft_prefix.size() - ending.size()) + ".lora");
    const io::Json& settings = own == low.exceptions.end() ? low.settings : own->second;
    Tensor<double> scaled(tensor.rows(), tensor.cols());
    io::decode_rows(tensor, 0, scaled.view());
    const double scale = settings["alpha"].get<double>() / settings["rank"].get<double>();
    for (Index i = 0; i < scaled.size(); ++i) {
      scaled.data()[i] *= scale;
    }
    reader.replace(tensor.name, tensor.name, std::move(scaled));
  }
}

/// A factor as square as this may stand transposed in a file, and nothing would tell.
inline void note_square_factors(models::AdapterFile& file) {
  for (const io::TensorRef& tensor : file.tensors.tensors()) {
    const bool factor = tensor.name.ends_with(".lora_A.weight") || tensor.name.ends_with(".lora_B.weight");
    if (factor && tensor.shape.size() == 2 && tensor.shape[0] == tensor.shape[1] && tensor.cols() > 1) {
      file.warnings.push_back("\"" + tensor.name + "\" of " + file.tensors.path() + " is square (" +
                              io::shape_text(tensor.shape) + "): it is read as PEFT writes it, and a transposed one " +
                              "would not be noticed");
      return;
    }
  }
}

}  // namespace detail

/// Reads a PEFT LoRA or DoRA; `config` is its adapter_config.json, `layers` the model's number of layers (0: as many as the
/// file names, to look at it without a model). A lora_bias becomes a part Bias, modules_to_save a part Full. A regex goes
/// through `compile`. What graft does not compute is adapter.670 to adapter.672, an adapter without effect adapter.780.
[[nodiscard]] inline models::AdapterFile open_peft_lora(const std::string& folder, const io::Json& config,
                                                        Index layers = 0,
                                                        text::PatternCompiler compile = &text::compile_builtin) {
  PeftReader reader(folder, config, layers, compile, detail::lora_keys());
  const PeftConfig& peft = reader.config();
  if (peft.get<std::string>("bias", "none") != "none") {
    peft.refuse("bias", "\"none\"");
  }
  const io::Json& start = peft.raw("init_lora_weights");
  const auto word = start.is_string() ? start.get<std::string>() : std::string("true");
  if (!(start.is_null() || start.is_boolean() || word == "gaussian" || word == "orthogonal" || word == "eva")) {
    peft.refuse("init_lora_weights",
                "true, false, \"gaussian\", \"orthogonal\" or \"eva\": others change the base weights");
  }
  const bool biased = peft.get<bool>("lora_bias", false);
  if (peft.get<bool>("use_dora", false)) {
    if (biased) {
      peft.refuse("lora_bias", "false beside use_dora");
    }
    reader.cut_names("lora_magnitude_vector", ".weight");
    reader.add_targets(
        [&](const std::string& module, Sites) { return detail::low_rank_recipe<adapters::Dora<>>(peft, module); });
  } else {
    reader.add_targets(
        [&](const std::string& module, Sites) { return detail::low_rank_recipe<adapters::Lora<>>(peft, module); });
    if (biased) {
      detail::add_lora_bias(reader);
    }
  }
  reader.add_saved_modules();
  if (reader.file.parts.front().adapter == adapters::Lora<>::name) {
    reader.check_effect({"lora_B.weight"}, 0);
  }
  detail::note_square_factors(reader.file);
  return std::move(reader).finish();
}

}  // namespace graft::interchange
