// SPDX-License-Identifier: Apache-2.0
// parse_hf_config: a Hugging Face config.json as a LlamaConfig; a key that would change the result is read or refused.
//
// Families: llama, mistral, qwen2, qwen3, gemma, in the spelling of transformers 4 (rope_theta, rope_scaling, torch_dtype)
// and 5 (rope_parameters, dtype). Absent keys take the defaults of the family's configuration class.
#pragma once

#include <algorithm>  // find
#include <array>
#include <cmath>  // sqrt
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <graft/base/require.hpp>
#include <graft/io/json.hpp>
#include <graft/models/llama_config.hpp>

namespace graft::models {

namespace detail {

/// Read below, by every family.
// clang-format off
inline constexpr std::string_view common_keys[] = {
    "model_type", "vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
    "num_key_value_heads", "head_dim", "hidden_act", "max_position_embeddings", "rms_norm_eps", "rope_theta",
    "rope_scaling", "rope_parameters", "tie_word_embeddings", "layer_types", "eos_token_id"};
// clang-format on

/// Say nothing about what the model computes. pretraining_tp splits a product into sums of the same terms.
// clang-format off
inline constexpr std::string_view neutral_keys[] = {
    "attn_implementation", "architectures", "torch_dtype", "dtype", "transformers_version", "use_cache",
    "initializer_range", "bos_token_id", "pad_token_id", "unk_token_id", "sep_token_id", "cls_token_id",
    "mask_token_id", "decoder_start_token_id", "pretraining_tp", "max_sequence_length", "task_specific_params",
    "problem_type", "id2label", "label2id", "num_labels", "finetuning_task", "tokenizer_class", "prefix",
    "is_decoder", "return_dict", "return_dict_in_generate", "output_hidden_states", "output_attentions",
    "output_scores", "torchscript", "use_bfloat16", "tf_legacy_loss", "chunk_size_feed_forward", "max_length",
    "min_length", "max_new_tokens", "do_sample", "early_stopping", "num_beams", "num_beam_groups",
    "diversity_penalty", "temperature", "top_k", "top_p", "typical_p", "repetition_penalty", "length_penalty",
    "no_repeat_ngram_size", "num_return_sequences", "remove_invalid_values", "is_llama_config",
    "transformers.js_config", "unsloth_fixed", "unsloth_version", "cache_implementation"};
// clang-format on

/// Would change the result, unless they are off: null, false, 0 or empty.
// clang-format off
inline constexpr std::string_view refused_keys[] = {
    "use_mrope", "attention_dropout", "hidden_dropout", "resid_pdrop", "embd_pdrop", "quantization_config",
    "is_encoder_decoder", "add_cross_attention", "cross_attention_hidden_size", "tie_encoder_decoder", "pruned_heads",
    "rope_interleaved", "attn_logit_softcapping", "final_logit_softcapping", "use_bidirectional_attention",
    "auto_map", "num_experts", "num_local_experts", "moe_intermediate_size", "logit_scale", "forced_bos_token_id",
    "forced_eos_token_id", "suppress_tokens", "begin_suppress_tokens", "bad_words_ids",
    "encoder_no_repeat_ngram_size", "exponential_decay_length_penalty", "attention_bias", "mlp_bias",
    "use_sliding_window", "sliding_window"};
// clang-format on

/// What a family's configuration class assumes where config.json is silent, and the keys that only some families read.
struct Family {
  std::string_view model_type;
  std::array<std::string_view, 4> keys;
  Index context;
  Index head_dim;  // 0 = hidden_size / num_attention_heads
  bool tied_head;
};
inline constexpr std::array<Family, 5> families = {{
    {"llama", {"attention_bias", "mlp_bias"}, 2048, 0, false},
    {"mistral", {"sliding_window"}, 131072, 0, false},
    {"qwen2", {"sliding_window", "use_sliding_window", "max_window_layers"}, 32768, 0, false},
    {"qwen3", {"sliding_window", "use_sliding_window", "max_window_layers", "attention_bias"}, 32768, 128, false},
    {"gemma", {"hidden_activation", "attention_bias"}, 8192, 256, true},
}};

[[nodiscard]] constexpr bool among(std::string_view key, std::span<const std::string_view> keys) {
  return std::find(keys.begin(), keys.end(), key) != keys.end();
}

[[nodiscard]] inline bool is_off(const io::Json& value) {
  return value.is_null() || value == false || value == 0 || (value.is_structured() && value.empty());
}

[[noreturn]] inline void refuse_value(const io::Json& value, const std::string& key, const std::string& expected,
                                      const std::string& where) {
  fail("model.502",
       "config key \"" + key + "\" is " + value.dump() + ", expected " + expected +
           ": it would change the result and graft does not support it",
       where);
}

/// Every key is read by the family, known to change nothing, off, or an error that names it.
inline void check_keys(const io::Json& json, const Family& family, const std::string& where) {
  for (const auto& [key, value] : json.items()) {
    const bool silent = key.starts_with('_') || value.is_null() || among(key, neutral_keys);
    if (silent || among(key, common_keys) || among(key, family.keys)) {
      continue;
    }
    if (!among(key, refused_keys)) {
      fail("model.503",
           "config key \"" + key + "\" (" + value.dump().substr(0, 60) +
               ") is not one that graft knows for model_type \"" + std::string(family.model_type) +
               "\"; remove it if it does not change the result",
           where);
    }
    if (!is_off(value)) {
      refuse_value(value, key, "it to be absent or off", where);
    }
  }
}

/// rope_theta and the scaling, from rope_parameters (transformers 5) or from rope_theta and rope_scaling.
inline void read_rope(const io::Json& json, LlamaConfig& config, const std::string& where) {
  config.rope_theta = io::json_get_or(json, "rope_theta", 10000.0, where);
  const auto is_set = [&json](const char* key) { return json.contains(key) && !json[key].is_null(); };
  if (!is_set("rope_parameters") && !is_set("rope_scaling")) {
    return;
  }
  const std::string name = is_set("rope_parameters") ? "rope_parameters" : "rope_scaling";
  const io::Json& rope = json[name];
  if (name == "rope_parameters" && is_set("rope_scaling") && json["rope_scaling"] != rope) {
    refuse_value(json["rope_scaling"], "rope_scaling", "it to be absent beside rope_parameters", where);
  }
  if (!rope.is_object()) {
    refuse_value(rope, name, "an object", where);
  }
  const auto type =
      io::json_get_or(rope, "rope_type", io::json_get_or<std::string>(rope, "type", "default", where), where);
  if (type != "default" && type != "linear" && type != "llama3") {
    refuse_value(type, name + ".rope_type", "\"default\", \"linear\" or \"llama3\"", where);
  }
  // clang-format off
  static constexpr std::string_view keys[] = {"rope_theta", "rope_type", "type", "factor", "low_freq_factor", "high_freq_factor",
                                              "original_max_position_embeddings", "partial_rotary_factor"};
  // clang-format on
  for (const auto& [key, value] : rope.items()) {
    if (!among(key, keys) || (key == "partial_rotary_factor" && value != 1)) {
      refuse_value(value, name + "." + key, "it to be absent", where);
    }
  }
  const double theta = io::json_get_or(rope, "rope_theta", config.rope_theta, where);
  if (is_set("rope_theta") && theta != config.rope_theta) {
    refuse_value(rope["rope_theta"], name + ".rope_theta", "the value of rope_theta", where);
  }
  config.rope_theta = theta;
  if (type == "default") {
    return;
  }
  RopeScaling& scaling = config.rope_scaling;
  scaling.kind = type == "linear" ? RopeScaling::Kind::linear : RopeScaling::Kind::llama3;
  if (type == "llama3") {
    scaling.low_freq_factor = io::json_get<double>(rope, "low_freq_factor", where);
    scaling.high_freq_factor = io::json_get<double>(rope, "high_freq_factor", where);
    scaling.original_context = io::json_get<Index>(rope, "original_max_position_embeddings", where);
  }
  scaling.factor = io::json_get<double>(rope, "factor", where);
}

/// Which layers see a sliding window: Mistral all, Qwen those from max_window_layers on, layer_types where it is given.
inline void read_window(const io::Json& json, LlamaConfig& config, const std::string& where) {
  const bool qwen = config.model_type == "qwen2" || config.model_type == "qwen3";
  if (config.model_type == "mistral" || (qwen && io::json_get_or(json, "use_sliding_window", false, where))) {
    const bool silent = !json.contains("sliding_window");  // both classes assume 4096
    config.window = silent ? 4096 : io::json_get_or<Index>(json, "sliding_window", 0, where);
    config.window_from_layer = qwen ? io::json_get_or<Index>(json, "max_window_layers", 28, where) : 0;
  }
  if (json.contains("layer_types") && !json["layer_types"].is_null()) {
    const auto types = io::json_get<std::vector<std::string>>(json, "layer_types", where);
    const auto first = std::find(types.begin(), types.end(), "sliding_attention");
    const bool full_before =
        std::all_of(types.begin(), first, [](const auto& type) { return type == "full_attention"; });
    const bool windowed_after =
        std::all_of(first, types.end(), [](const auto& type) { return type == "sliding_attention"; });
    const bool windowed = first != types.end();
    const bool agrees = qwen ? !windowed || config.window > 0
                             : windowed == (config.window > 0) && (first == types.begin() || !windowed);
    if (static_cast<Index>(types.size()) != config.layers || !full_before || !windowed_after || !agrees) {
      refuse_value(json["layer_types"], "layer_types",
                   "one entry a layer, \"full_attention\" first, then \"sliding_attention\" where a window is set",
                   where);
    }
    config.window_from_layer = first - types.begin();
  }
  if (config.window_from_layer >= config.layers || config.window == 0) {
    config.window = config.window_from_layer = 0;
  }
}

[[nodiscard]] inline Activation read_activation(const io::Json& json, bool gemma, const std::string& where) {
  std::string key = "hidden_act";
  auto name = io::json_get_or<std::string>(json, key, gemma ? "gelu_pytorch_tanh" : "silu", where);
  if (gemma && json.contains("hidden_activation") && !json["hidden_activation"].is_null()) {
    key = "hidden_activation";
    name = io::json_get<std::string>(json, key, where);
  } else if (gemma && name == "gelu") {  // transformers: hidden_act "gelu" of the first Gemma files means the tanh form
    name = "gelu_pytorch_tanh";
  }
  if (name == "silu" || name == "swish") {
    return Activation::silu;
  }
  if (name == "gelu_pytorch_tanh" || name == "gelu_new") {
    return Activation::gelu_tanh;
  }
  refuse_value(name, key, "\"silu\" or \"gelu_pytorch_tanh\"", where);
}

}  // namespace detail

/// The token ids under `key`: a number, a list, or null for none.
[[nodiscard]] inline std::vector<std::int32_t> read_token_ids(const io::Json& json, const std::string& key,
                                                              const std::string& where) {
  const auto found = json.find(key);
  if (found == json.end() || found->is_null()) {
    return {};
  }
  if (found->is_array()) {
    return io::json_as<std::vector<std::int32_t>>(*found, key, where);
  }
  return {io::json_as<std::int32_t>(*found, key, where)};
}

/// config.json as a LlamaConfig (io.212 and model.501 to model.504); `where` names the file in errors.
[[nodiscard]] inline LlamaConfig parse_hf_config(const io::Json& json, const std::string& where) {
  if (!json.is_object()) {
    fail("model.501", "a model configuration is a JSON object, found " + json.dump().substr(0, 60), where);
  }
  LlamaConfig config;
  config.model_type = io::json_get<std::string>(json, "model_type", where);
  const auto* family = std::find_if(detail::families.begin(), detail::families.end(),
                                    [&](const detail::Family& f) { return f.model_type == config.model_type; });
  if (family == detail::families.end()) {
    fail("model.501",
         "config key \"model_type\" is \"" + config.model_type + "\", expected llama, mistral, qwen2, qwen3 or gemma",
         where);
  }
  detail::check_keys(json, *family, where);
  const bool llama = config.model_type == "llama";
  const bool gemma = config.model_type == "gemma";
  config.vocab = io::json_get<Index>(json, "vocab_size", where);
  config.dim = io::json_get<Index>(json, "hidden_size", where);
  config.layers = io::json_get<Index>(json, "num_hidden_layers", where);
  config.heads = io::json_get<Index>(json, "num_attention_heads", where);
  config.ffn = io::json_get<Index>(json, "intermediate_size", where);
  config.context = io::json_get_or(json, "max_position_embeddings", family->context, where);
  if (!llama && !json.contains("num_key_value_heads")) {  // the other classes assume a number of their 7B model
    fail("io.212", "key \"num_key_value_heads\" is missing", where);
  }
  config.kv_heads = io::json_get_or(json, "num_key_value_heads", config.heads, where);
  config.head_dim = io::json_get_or(json, "head_dim", family->head_dim, where);
  if (config.head_dim == 0 && config.heads > 0) {
    if (config.dim % config.heads != 0) {
      fail("model.504",
           "hidden_size (" + std::to_string(config.dim) + ") must be a multiple of num_attention_heads (" +
               std::to_string(config.heads) + ") where head_dim is absent",
           where);
    }
    config.head_dim = config.dim / config.heads;
  }
  config.norm_eps = io::json_get_or(json, "rms_norm_eps", 1e-6, where);
  config.tied_head = io::json_get_or(json, "tie_word_embeddings", family->tied_head, where);
  config.output_bias = io::json_get_or(json, "attention_bias", false, where);
  config.qkv_bias = config.output_bias || config.model_type == "qwen2";
  config.mlp_bias = io::json_get_or(json, "mlp_bias", false, where);
  config.qk_norm = config.model_type == "qwen3";
  config.activation = detail::read_activation(json, gemma, where);
  config.norm_offset = gemma ? 1 : 0;
  config.embedding_scale = gemma ? std::sqrt(static_cast<double>(config.dim)) : 1;
  detail::read_rope(json, config, where);
  detail::read_window(json, config, where);
  config.eos = read_token_ids(json, "eos_token_id", where);
  config.bos = io::json_get_or(json, "bos_token_id", -1, where);
  config.pad = io::json_get_or(json, "pad_token_id", -1, where);
  validate(config, where);
  return config;
}

}  // namespace graft::models
