// SPDX-License-Identifier: Apache-2.0
// peft: every folder of PEFT that graft has the adapter of, read by its peft_type and written from what a stack holds.
#pragma once

#include <string>

#include <graft/interchange/peft_export.hpp>
#include <graft/interchange/peft_ia3.hpp>
#include <graft/interchange/peft_lora.hpp>
#include <graft/interchange/peft_lycoris.hpp>
#include <graft/interchange/peft_prompt.hpp>
#include <graft/interchange/peft_vera.hpp>

namespace graft::interchange {

/// Reads a folder of PEFT; `config` is its adapter_config.json, `layers` the model's number of layers (0: look at the file
/// without a model), `compile` the engine for a regex. A peft_type that graft does not have is adapter.658.
[[nodiscard]] inline models::AdapterFile open_peft(const std::string& folder, const io::Json& config, Index layers = 0,
                                                   text::PatternCompiler compile = &text::compile_builtin) {
  const std::string where = io::join(folder, models::adapter_config_name);
  const auto type = io::json_get<std::string>(config, "peft_type", where);
  if (type == "LORA") {
    return open_peft_lora(folder, config, layers, compile);
  }
  if (type == "VERA") {
    return open_peft_vera(folder, config, layers, compile);
  }
  if (type == "LOHA") {
    return open_peft_loha(folder, config, layers, compile);
  }
  if (type == "LOKR") {
    return open_peft_lokr(folder, config, layers, compile);
  }
  if (type == "IA3") {
    return open_peft_ia3(folder, config, layers, compile);
  }
  if (type == "PROMPT_TUNING") {
    return open_peft_prompt(folder, config, layers);
  }
  if (type == "PREFIX_TUNING") {
    return open_peft_prefix(folder, config, layers);
  }
  fail("adapter.658",
       "peft_type is \"" + type +
           "\", expected \"LORA\", \"VERA\", \"LOHA\", \"LOKR\", \"IA3\", \"PROMPT_TUNING\", "
           "\"PREFIX_TUNING\" or one that graft wrote (\"GRAFT_...\")",
       where);
}

/// A stack as the folder of PEFT that it is, in the making: a LoRA (PMSS, CURLoRA, LoRA-XS, PiSSA and OLoRA too), DoRA, VeRA,
/// LoHa, LoKr, IA3, prompt or prefix tuning; Bias goes beside a LoRA, Full beside any. What is no single one of these, or has
/// two modules at one place, is adapter.673.
template <class Model, class AttachedType>
[[nodiscard]] PeftWriter as_peft(const std::string& folder, AttachedType& attached, const Model& model) {
  PeftWriter writer(folder, attached.layers);
  attached.for_each_module([&](const auto&, const Placement& placement, auto& grafted) {
    detail::refuse_unfolded(grafted, placement, model, writer);
    if constexpr (requires { detail::to_peft(grafted, model, writer); }) {
      detail::to_peft(grafted, model, writer);
    } else {
      writer.refuse("PEFT has no adapter like \"" + grafted.path() + "\"");
    }
  });
  return writer;
}

/// Writes it.
template <class Model, class AttachedType>
void write_peft(const std::string& folder, AttachedType& attached, const Model& model, const std::string& base_model) {
  as_peft(folder, attached, model).write(base_model);
}

/// Throws what write_peft would refuse, and writes nothing: to be asked before an adapter is trained.
template <class Model, class AttachedType>
void check_peft(const std::string& folder, AttachedType& attached, const Model& model) {
  (void)as_peft(folder, attached, model).describe("");
}

}  // namespace graft::interchange
