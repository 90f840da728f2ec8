// SPDX-License-Identifier: Apache-2.0
// peft_vera: the folder of a PEFT VeRA, read and written: the vectors b and d of every module, and A and B of them all.
// Source: github.com/huggingface/peft, tuners/vera/config.py and model.py.
#pragma once

#include <algorithm>  // max
#include <string>

#include <graft/adapters/vera.hpp>
#include <graft/interchange/peft_reader.hpp>
#include <graft/interchange/peft_writer.hpp>

namespace graft::interchange {

/// Reads a PEFT VeRA; arguments as open_peft_lora's. Without its projections (save_projection false) it is adapter.781:
/// PEFT would draw them with torch's generator.
[[nodiscard]] inline models::AdapterFile open_peft_vera(const std::string& folder, const io::Json& config,
                                                        Index layers = 0,
                                                        text::PatternCompiler compile = &text::compile_builtin) {
  PeftReader reader(folder, config, layers, compile,
                    {.understood = {"r", "target_modules", "exclude_modules", "vera_dropout", "d_initial", "bias",
                                    "save_projection", "layers_to_transform", "layers_pattern", "modules_to_save"},
                     .without_effect = {"init_weights", "projection_prng_key"},
                     .training = {},
                     .refused = {"fan_in_fan_out"}});
  const PeftConfig& peft = reader.config();
  if (peft.get<std::string>("bias", "none") != "none") {
    peft.refuse("bias", "\"none\"");
  }
  if (!peft.get<bool>("save_projection", true) || reader.file.tensors.find("base_model.vera_A") == nullptr) {
    fail("adapter.781",
         "the folder does not hold the projections vera_A and vera_B, which PEFT would draw with torch's generator: "
         "load "
         "it with PEFT, set save_projection = True in its configuration and save it again",
         peft.where());
  }
  reader.add_targets([&](const std::string& module, Sites) {
    return adapters::Vera<>{.rank = peft.rank(module),
                            .start = peft.get<double>("d_initial", 0.1),
                            .dropout = peft.dropout("vera_dropout"),
                            .projection_seed = adapters::Vera<>::carried};
  });
  reader.add_saved_modules();
  reader.check_effect({"vera_lambda_b"}, 0);
  return std::move(reader).finish();
}

namespace detail {

template <Index Rank, scalar T, class Model>
void to_peft(Grafted<adapters::Vera<Rank>, T>& grafted, const Model&, PeftWriter& writer) {
  const auto& recipe = grafted.recipe;
  writer.add_module({.place = grafted.place, .dropout = recipe.dropout},
                    {{"peft_type", "VERA"},
                     {"r", recipe.rank},
                     {"d_initial", recipe.start},
                     {"projection_prng_key", std::max<Index>(recipe.projection_seed, 0)},
                     {"save_projection", true},
                     {"fan_in_fan_out", false},
                     {"bias", "none"}});
  grafted.module.for_each_parameter([&](const char* name, Parameter<T>& parameter) {
    writer.add(peft_key(grafted.place, name), View<const T>(parameter.value), true);
  });
  const auto& pair = *grafted.module.shared();
  writer.share("base_model.vera_A", pair.a.view(), recipe.rank, grafted.place.inputs, grafted.place);
  writer.share("base_model.vera_B", pair.b.view(), grafted.place.outputs, recipe.rank, grafted.place);
}

}  // namespace detail

}  // namespace graft::interchange
