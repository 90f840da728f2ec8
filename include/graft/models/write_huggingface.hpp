// SPDX-License-Identifier: Apache-2.0
// write_huggingface: a model folder as transformers reads it: config.json, model.safetensors and the tokenizer's files.
#pragma once

#include <array>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <graft/base/require.hpp>
#include <graft/core/bf16.hpp>
#include <graft/core/tensor.hpp>
#include <graft/io/atomic_file.hpp>
#include <graft/io/json.hpp>
#include <graft/io/path.hpp>
#include <graft/io/safetensors.hpp>
#include <graft/models/checkpoint.hpp>
#include <graft/models/hf_config.hpp>
#include <graft/models/load_tokenizer.hpp>
#include <graft/text/write_tokenizer_json.hpp>

namespace graft::models {

/// "float32" or "bfloat16": how config.json spells the type of the weights.
template <storable S>
  requires(std::same_as<S, float> || std::same_as<S, bf16>)
inline constexpr std::string_view hf_dtype = std::same_as<S, float> ? "float32" : "bfloat16";

/// config.json of a configuration; what no config.json of the family can say is model.505.
[[nodiscard]] inline io::Json hf_config_json(const LlamaConfig& c, std::string_view dtype) {
  const std::string name = c.model_type == "llama"     ? "Llama"
                           : c.model_type == "mistral" ? "Mistral"
                           : c.model_type == "gemma"   ? "Gemma"
                                                       : "Q" + c.model_type.substr(1);
  io::Json json = {{"architectures", {name + "ForCausalLM"}},
                   {"model_type", c.model_type},
                   {"vocab_size", c.vocab},
                   {"hidden_size", c.dim},
                   {"intermediate_size", c.ffn},
                   {"num_hidden_layers", c.layers},
                   {"num_attention_heads", c.heads},
                   {"num_key_value_heads", c.kv_heads},
                   {"head_dim", c.head_dim},
                   {"hidden_act", c.activation == Activation::silu ? "silu" : "gelu_pytorch_tanh"},
                   {"max_position_embeddings", c.context},
                   {"rms_norm_eps", c.norm_eps},
                   {"rope_theta", c.rope_theta},
                   {"tie_word_embeddings", c.tied_head},
                   {"torch_dtype", dtype}};
  const RopeScaling& rope = c.rope_scaling;
  if (rope.kind == RopeScaling::Kind::linear) {
    json["rope_scaling"] = {{"rope_type", "linear"}, {"factor", rope.factor}};
  } else if (rope.kind == RopeScaling::Kind::llama3) {
    json["rope_scaling"] = {{"rope_type", "llama3"},
                            {"factor", rope.factor},
                            {"low_freq_factor", rope.low_freq_factor},
                            {"high_freq_factor", rope.high_freq_factor},
                            {"original_max_position_embeddings", rope.original_context}};
  }
  if (c.model_type == "mistral") {
    json["sliding_window"] = c.window > 0 ? io::Json(c.window) : io::Json();
  } else if (c.window > 0) {
    json["use_sliding_window"] = true;
    json["sliding_window"] = c.window;
    json["max_window_layers"] = c.window_from_layer;
  }
  if (c.output_bias) {
    json["attention_bias"] = true;
  }
  if (c.mlp_bias) {
    json["mlp_bias"] = true;
  }
  if (c.eos.size() == 1) {
    json["eos_token_id"] = c.eos.front();
  } else if (!c.eos.empty()) {
    json["eos_token_id"] = c.eos;
  }
  if (c.bos >= 0) {
    json["bos_token_id"] = c.bos;
  }
  if (c.pad >= 0) {
    json["pad_token_id"] = c.pad;
  }
  if (parse_hf_config(json, "config.json") != c) {
    fail("model.505",
         "the configuration of this model (" + c.model_type +
             ") has something that no config.json says: RoPE factors of a GGUF file, biases or windows of another "
             "family");
  }
  return json;
}

/// Writes model.safetensors in S, then config.json, each whole or not at all; the folder is made where it is absent.
/// `fill(spec, values)` computes one tensor at a time into values(rows, cols), a vector being one row. NaN and infinity
/// are model.513.
template <storable S, class Fill>
void write_huggingface(const std::string& folder, const LlamaConfig& config, const io::Json& config_json, Fill&& fill) {
  (void)io::make_folder(folder);
  const std::string path = io::join(folder, "model.safetensors");
  std::vector<io::TensorRef> refs;
  for (const TensorSpec& spec : tensor_specs(config)) {
    refs.push_back({spec.name, io::dtype_of<S>(), spec.shape, nullptr,
                    *io::byte_count(io::dtype_of<S>(), std::span(spec.shape)), path});
  }
  Tensor<float> values;
  Tensor<S> rounded;
  io::write_safetensors(path, refs, {{"format", "pt"}}, [&](const io::TensorRef& ref) {
    values = Tensor<float>(ref.rows(), ref.cols());
    fill(TensorSpec{ref.name, ref.shape}, values.view());
    check_finite<float>(std::as_const(values).view(), ref);
    if constexpr (std::same_as<S, float>) {
      return std::as_bytes(std::span(values.data(), static_cast<std::size_t>(values.size())));
    } else {
      rounded = Tensor<S>(ref.rows(), ref.cols());
      for (Index i = 0; i < values.size(); ++i) {
        rounded.data()[i] = S(values.data()[i]);
      }
      return std::as_bytes(std::span(rounded.data(), static_cast<std::size_t>(rounded.size())));
    }
  });
  io::write_text(io::join(folder, "config.json"), config_json.dump(2) + "\n");
}

/// tokenizer.json and tokenizer_config.json of some arrays.
inline void write_tokenizer(const std::string& folder, const text::TokenizerArrays& arrays, Index context) {
  io::write_text(io::join(folder, "tokenizer.json"), text::tokenizer_json(arrays, folder).dump(1) + "\n");
  io::write_text(io::join(folder, "tokenizer_config.json"),
                 text::tokenizer_config_json(arrays, context).dump(2) + "\n");
}

/// Carries the tokenizer of a checkpoint to a Hugging Face folder, chat template included: its files where it has some,
/// else written from the arrays of GGUF or llama2.c. False where it has none.
inline bool carry_tokenizer(const std::string& folder, const Checkpoint& from) {
  if (from.tokenizer) {
    write_tokenizer(folder, *from.tokenizer, from.config.context);
    return true;
  }
  if (!io::is_directory(from.path)) {
    const std::optional<std::string> beside = llama2c_tokenizer_path(from);
    if (beside) {
      write_tokenizer(folder, text::llama2c_arrays(io::read_text(*beside), from.config.vocab, *beside),
                      from.config.context);
    }
    return beside.has_value();
  }
  constexpr std::array<std::string_view, 9> names = {
      "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",     "vocab.json",
      "merges.txt",     "tokenizer.model",       "chat_template.jinja",     "generation_config.json"};
  for (const std::string_view name : names) {
    if (const std::string source = io::join(from.path, name); io::exists(source)) {
      io::write_text(io::join(folder, name), io::read_text(source));
    }
  }
  return io::exists(io::join(from.path, "tokenizer.json"));
}

}  // namespace graft::models
