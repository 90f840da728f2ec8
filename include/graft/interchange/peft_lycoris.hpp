// SPDX-License-Identifier: Apache-2.0
// peft_lycoris: the folders of a PEFT LoHa and a PEFT LoKr, read and written; graft's parameters have PEFT's names.
// Source: github.com/huggingface/peft, tuners/lycoris_utils.py, tuners/loha/config.py, tuners/lokr/config.py.
#pragma once

#include <string>
#include <string_view>

#include <graft/adapters/loha.hpp>
#include <graft/adapters/lokr.hpp>
#include <graft/interchange/peft_reader.hpp>
#include <graft/interchange/peft_writer.hpp>

namespace graft::interchange {

namespace detail {

/// Dropout of ranks and modules acts in training only; effective convolutions are no linear maps.
[[nodiscard]] inline PeftKeys lycoris_keys() {
  return {.understood = {"r", "alpha", "target_modules", "exclude_modules", "layers_to_transform", "layers_pattern",
                         "rank_pattern", "alpha_pattern", "modules_to_save"},
          .without_effect = {"use_effective_conv2d", "init_weights"},
          .training = {"rank_dropout", "module_dropout", "rank_dropout_scale"},
          .refused = {}};
}
[[nodiscard]] inline double lycoris_alpha(const PeftConfig& config, const std::string& module) {
  return config.pattern_value<double>("alpha_pattern", module, config.get<double>("alpha", 8));
}

}  // namespace detail

/// Reads a PEFT LoHa; arguments as open_peft_lora's.
[[nodiscard]] inline models::AdapterFile open_peft_loha(const std::string& folder, const io::Json& config,
                                                        Index layers = 0,
                                                        text::PatternCompiler compile = &text::compile_builtin) {
  PeftReader reader(folder, config, layers, compile, detail::lycoris_keys());
  const PeftConfig& peft = reader.config();
  reader.add_targets([&](const std::string& module, Sites) {
    return adapters::Loha<>{.rank = peft.rank(module), .alpha = detail::lycoris_alpha(peft, module)};
  });
  reader.add_saved_modules();
  reader.check_effect({"hada_w2_b"}, 0);
  return std::move(reader).finish();
}

/// Reads a PEFT LoKr, its factors whole or decomposed as decompose_both, decompose_factor and the ranks decide.
[[nodiscard]] inline models::AdapterFile open_peft_lokr(const std::string& folder, const io::Json& config,
                                                        Index layers = 0,
                                                        text::PatternCompiler compile = &text::compile_builtin) {
  PeftKeys keys = detail::lycoris_keys();
  keys.understood.push_back("decompose_both");
  keys.understood.push_back("decompose_factor");
  PeftReader reader(folder, config, layers, compile, keys);
  const PeftConfig& peft = reader.config();
  reader.add_targets([&](const std::string& module, Sites) {
    return adapters::Lokr{.rank = peft.rank(module),
                          .alpha = detail::lycoris_alpha(peft, module),
                          .factor = peft.get<Index>("decompose_factor", -1),
                          .decompose_both = peft.get<bool>("decompose_both", false)};
  });
  reader.add_saved_modules();
  reader.check_effect({"lokr_w1", "lokr_w1_a"}, 0);
  return std::move(reader).finish();
}

namespace detail {

template <class Scale, class A, scalar T>
void add_lycoris(Grafted<A, T>& grafted, PeftWriter& writer, io::Json kind) {
  const Index rank = grafted.recipe.rank;
  kind.update(
      {{"rank_dropout", 0.0}, {"module_dropout", 0.0}, {"init_weights", true}, {"use_effective_conv2d", false}});
  writer.add_module({.place = grafted.place, .rank = rank, .alpha = alpha_over_rank<Scale>(grafted.recipe.alpha, rank)},
                    kind);
  grafted.module.for_each_parameter([&](const char* name, Parameter<T>& parameter) {
    writer.add(peft_key(grafted.place, name), View<const T>(parameter.value));
  });
}

template <Index Rank, class Scale, scalar T, class Model>
void to_peft(Grafted<adapters::Loha<Rank, Scale>, T>& grafted, const Model&, PeftWriter& writer) {
  add_lycoris<Scale>(grafted, writer, {{"peft_type", "LOHA"}});
}

template <class Scale, scalar T, class Model>
void to_peft(Grafted<adapters::LokrOf<Scale>, T>& grafted, const Model&, PeftWriter& writer) {
  add_lycoris<Scale>(grafted, writer,
                     {{"peft_type", "LOKR"},
                      {"rank_dropout_scale", false},
                      {"decompose_both", grafted.recipe.decompose_both},
                      {"decompose_factor", grafted.recipe.factor}});
}

}  // namespace detail

}  // namespace graft::interchange
