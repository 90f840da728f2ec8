// SPDX-License-Identifier: Apache-2.0
// peft_prompt: the folders of PEFT's prompt tuning and prefix tuning, read and written: one tensor, "prompt_embeddings".
//
// Prompt tuning: (P, width). Prefix tuning: (P, 2 layers kv_width), for each layer the keys and then the values as the
// attention reads them, without RoPE. Source: github.com/huggingface/peft, tuners/prompt_learning_config.py, peft_model.py.
#pragma once

#include <string>
#include <utility>  // move

#include <graft/adapters/inserted.hpp>
#include <graft/interchange/peft_reader.hpp>
#include <graft/interchange/peft_writer.hpp>

namespace graft::interchange {

namespace detail {

/// The folder's only tensor, of P x width numbers; graft's names follow no prefix.
[[nodiscard]] inline Tensor<double> prompt_table(PeftReader& reader, Index rows, Index width) {
  const PeftConfig& peft = reader.config();
  if (peft.get<Index>("num_transformer_submodules", 1) != 1) {
    peft.refuse("num_transformer_submodules", "1: a decoder");
  }
  const io::TensorRef& tensor = reader.file.tensor("prompt_embeddings", {rows, width});
  Tensor<double> table(rows, width);
  io::decode_rows(tensor, 0, table.view());
  models::check_finite<double>(table.view(), tensor);
  reader.file.prefix.clear();
  return table;
}

[[nodiscard]] inline PeftKeys prompt_keys() {
  return {.understood = {"num_virtual_tokens", "token_dim", "num_layers", "num_transformer_submodules"},
          .without_effect = {"num_attention_heads", "prompt_tuning_init", "prompt_tuning_init_text",
                             "tokenizer_name_or_path", "tokenizer_kwargs", "encoder_hidden_size", "init_weights"},
          .training = {"prefix_projection"},
          .refused = {"modules_to_save"}};
}

template <class A>
[[nodiscard]] models::AdapterPart prompt_part(Index tokens) {
  models::AdapterPart part;
  part.adapter = A::name;
  part.policies = models::policies_of<A>();
  part.settings = models::settings_of(A{.tokens = tokens});
  part.placement.sites = A::sites;
  return part;
}

}  // namespace detail

/// Reads PEFT's prompt tuning; arguments as open_peft_lora's.
[[nodiscard]] inline models::AdapterFile open_peft_prompt(const std::string& folder, const io::Json& config,
                                                          Index layers = 0) {
  PeftReader reader(folder, config, layers, &text::compile_builtin, detail::prompt_keys());
  const PeftConfig& peft = reader.config();
  const Index tokens = io::json_get<Index>(config, "num_virtual_tokens", peft.where());
  Tensor<double> table = detail::prompt_table(reader, tokens, io::json_get<Index>(config, "token_dim", peft.where()));
  reader.replace("prompt_embeddings", module_path(0, site::embedded) + ".inserted.rows", std::move(table));
  reader.file.parts.push_back(detail::prompt_part<adapters::PromptTuning>(tokens));
  return std::move(reader).finish();
}

/// Reads PEFT's prefix tuning. With prefix_projection the file holds what the projection gave, and graft trains on that.
[[nodiscard]] inline models::AdapterFile open_peft_prefix(const std::string& folder, const io::Json& config,
                                                          Index layers = 0) {
  PeftReader reader(folder, config, layers, &text::compile_builtin, detail::prompt_keys());
  const PeftConfig& peft = reader.config();
  const Index tokens = io::json_get<Index>(config, "num_virtual_tokens", peft.where());
  const Index width = io::json_get<Index>(config, "token_dim", peft.where());
  const Index depth = io::json_get<Index>(config, "num_layers", peft.where());
  if (depth < 1 || depth > 4096 || (layers > 0 && layers != depth)) {
    peft.refuse("num_layers", layers > 0 ? std::to_string(layers) + ", as the model has" : "a model's");
  }
  if (width < 1 || width > 1 << 24) {
    peft.refuse("token_dim", "the width of a model's keys");
  }
  const Tensor<double> table = detail::prompt_table(reader, tokens, 2 * depth * width);
  for (Index half = 0; half < 2 * depth; ++half) {
    const Sites one = half % 2 == 0 ? site::keys : site::values;
    Tensor<double> rows(tokens, width);
    for (Index i = 0; i < tokens; ++i) {
      for (Index j = 0; j < width; ++j) {
        rows(i, j) = table(i, half * width + j);
      }
    }
    reader.replace("prompt_embeddings", module_path(half / 2, one) + ".inserted.rows", std::move(rows));
  }
  reader.file.parts.push_back(detail::prompt_part<adapters::PrefixTuning>(tokens));
  return std::move(reader).finish();
}

namespace detail {

template <class What, scalar T, class Model>
void to_peft(Grafted<adapters::Inserted<What>, T>& grafted, const Model& model, PeftWriter& writer) {
  constexpr bool prefix = std::same_as<What, adapters::policies::KeysAndValues>;
  const auto& c = model.config;
  const Index width = prefix ? c.kv_dim() : c.dim;
  io::Json kind = {{"num_virtual_tokens", grafted.recipe.tokens},
                   {"token_dim", width},
                   {"num_layers", c.layers},
                   {"num_attention_heads", prefix ? c.kv_heads : c.heads},
                   {"num_transformer_submodules", 1}};
  if (prefix) {
    kind.update({{"peft_type", "PREFIX_TUNING"}, {"encoder_hidden_size", width}, {"prefix_projection", false}});
  } else {
    kind.update({{"peft_type", "PROMPT_TUNING"}, {"prompt_tuning_init", "RANDOM"}});
  }
  writer.add_module({.place = grafted.place}, kind);
  const Index half = 2 * grafted.place.layer + (grafted.place.where == site::values ? 1 : 0);
  grafted.module.for_each_parameter([&](const char*, Parameter<T>& rows) {
    writer.add_columns("prompt_embeddings", View<const T>(rows.value), prefix ? half * width : 0,
                       prefix ? 2 * c.layers * width : width);
  });
}

}  // namespace detail

}  // namespace graft::interchange
