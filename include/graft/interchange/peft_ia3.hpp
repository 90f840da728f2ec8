// SPDX-License-Identifier: Apache-2.0
// peft_ia3: the folder of a PEFT IA3, read and written: a factor for each output, or each input (feedforward_modules).
// Source: github.com/huggingface/peft, tuners/ia3/config.py and model.py.
#pragma once

#include <string>

#include <graft/adapters/ia3.hpp>
#include <graft/interchange/peft_reader.hpp>
#include <graft/interchange/peft_writer.hpp>

namespace graft::interchange {

/// Reads a PEFT IA3; arguments as open_peft_lora's.
[[nodiscard]] inline models::AdapterFile open_peft_ia3(const std::string& folder, const io::Json& config,
                                                       Index layers = 0,
                                                       text::PatternCompiler compile = &text::compile_builtin) {
  PeftReader reader(folder, config, layers, compile,
                    {.understood = {"target_modules", "exclude_modules", "feedforward_modules", "modules_to_save"},
                     .without_effect = {"init_ia3_weights"},
                     .training = {},
                     .refused = {"fan_in_fan_out"}});
  const PeftConfig& peft = reader.config();
  const auto scales_input = [&](Index layer, Sites one) {
    const std::string module = module_path(layer, one);
    return peft.targets(layer, module) && peft.ends_or_matches("feedforward_modules", module);
  };
  Sites inputs = site::none;  // where it is so in some layer; a module that differs has a recipe of its own
  for (Index l = 0; l < reader.layers(); ++l) {
    for (Sites one = 1; one <= site::down; one <<= 1) {
      inputs |= scales_input(l, one) ? one : site::none;
    }
  }
  reader.add_targets([&](const std::string& module, Sites one) {
    const bool differs = (inputs & one) != 0 && !peft.ends_or_matches("feedforward_modules", module);
    return adapters::Ia3{.input_sites = static_cast<Index>(differs ? inputs & ~one : inputs)};
  });
  reader.add_saved_modules();
  reader.check_effect({"ia3_l"}, 1);
  return std::move(reader).finish();
}

namespace detail {

template <scalar T, class Model>
void to_peft(Grafted<adapters::Ia3, T>& grafted, const Model&, PeftWriter& writer) {
  writer.add_module({.place = grafted.place, .scales_input = grafted.recipe.scales_input(grafted.place)},
                    {{"peft_type", "IA3"}, {"fan_in_fan_out", false}, {"init_ia3_weights", true}});
  grafted.module.for_each_parameter([&](const char* name, Parameter<T>& parameter) {
    writer.add(peft_key(grafted.place, name), View<const T>(parameter.value));
  });
}

}  // namespace detail

}  // namespace graft::interchange
