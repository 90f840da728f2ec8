// SPDX-License-Identifier: Apache-2.0
// open_gguf: a GGUF file of architecture llama, qwen2, qwen3 or gemma as a Checkpoint under Hugging Face names.
//
// Of architecture llama the rows of q and k stand in adjacent RoPE pairs; the TensorRefs say so. Gemma's gains hold the 1 that
// Hugging Face adds to them. Source: llama.cpp, convert_hf_to_gguf.py, gguf-py constants.
#pragma once

#include <algorithm>  // find, max
#include <array>
#include <cmath>  // sqrt
#include <string>
#include <string_view>
#include <vector>

#include <graft/base/require.hpp>
#include <graft/io/decode.hpp>
#include <graft/io/gguf.hpp>
#include <graft/io/gguf_tokenizer.hpp>
#include <graft/models/checkpoint.hpp>
#include <graft/models/gguf_names.hpp>

namespace graft::models {

namespace detail {

/// A key of the architecture is read below, says nothing about the result, is off (0 or false), or is model.503.
inline void check_gguf_keys(const io::Gguf& gguf, const std::string& prefix) {
  static constexpr std::array<std::string_view, 20> known = {"context_length",
                                                             "embedding_length",
                                                             "block_count",
                                                             "feed_forward_length",
                                                             "attention.head_count",
                                                             "attention.head_count_kv",
                                                             "attention.layer_norm_rms_epsilon",
                                                             "attention.key_length",
                                                             "attention.value_length",
                                                             "rope.dimension_count",
                                                             "rope.freq_base",
                                                             "rope.scaling.type",
                                                             "rope.scaling.factor",
                                                             "rope.scale_linear",
                                                             "vocab_size",
                                                             "rope.scaling.original_context_length",
                                                             "rope.scaling.finetuned",
                                                             "tensor_data_layout",
                                                             "attention.layer_norm_epsilon",
                                                             "max_position_embeddings"};
  for (const auto& [key, value] : gguf.metadata()) {
    if (!key.starts_with(prefix) || std::find(known.begin(), known.end(), key.substr(prefix.size())) != known.end()) {
      continue;
    }
    const auto* integer = std::get_if<std::int64_t>(&value);
    const auto* flag = std::get_if<bool>(&value);
    if (!(integer != nullptr && *integer == 0) && !(flag != nullptr && !*flag)) {
      fail("model.503", "metadata key \"" + key + "\" is not one that graft knows and may change the result",
           gguf.path());
    }
  }
}

inline void read_gguf_rope(const io::Gguf& gguf, const std::string& prefix, LlamaConfig& config) {
  config.rope_theta = gguf.get<double>(prefix + "rope.freq_base").value_or(10000);
  const auto dimensions = gguf.get<std::int64_t>(prefix + "rope.dimension_count").value_or(config.head_dim);
  if (dimensions != config.head_dim) {
    fail("model.502",
         "metadata key \"" + prefix + "rope.dimension_count\" is " + std::to_string(dimensions) +
             ", expected the head size " + std::to_string(config.head_dim),
         gguf.path());
  }
  const auto type = gguf.get<std::string_view>(prefix + "rope.scaling.type").value_or("none");
  const auto old_linear = gguf.get<double>(prefix + "rope.scale_linear").value_or(1);
  RopeScaling& scaling = config.rope_scaling;
  if (type == "linear" || (type == "none" && old_linear != 1)) {
    scaling.kind = RopeScaling::Kind::linear;
    scaling.factor = type == "linear" ? gguf.at<double>(prefix + "rope.scaling.factor") : old_linear;
  } else if (type != "none") {
    fail("model.502",
         "metadata key \"" + prefix + "rope.scaling.type\" is \"" + std::string(type) +
             "\", expected \"none\" or \"linear\"",
         gguf.path());
  }
  if (const io::TensorRef* tensor = gguf.find("rope_freqs.weight")) {
    if (scaling.kind != RopeScaling::Kind::none) {
      fail("model.502", "tensor \"rope_freqs.weight\" and linear RoPE scaling stand together, expected one of them",
           gguf.path());
    }
    scaling.kind = RopeScaling::Kind::factors;
    scaling.factors.resize(static_cast<std::size_t>(tensor->rows() * tensor->cols()));
    io::decode_rows(*tensor, 0, View<float>(scaling.factors.data(), tensor->rows(), tensor->cols()));
  }
}

}  // namespace detail

/// The metadata of a GGUF file as a LlamaConfig (io.235, model.501 to model.504).
[[nodiscard]] inline LlamaConfig parse_gguf_config(const io::Gguf& gguf) {
  LlamaConfig config;
  config.model_type = gguf.at<std::string_view>("general.architecture");
  const bool gemma = config.model_type == "gemma";
  if (config.model_type != "llama" && config.model_type != "qwen2" && config.model_type != "qwen3" && !gemma) {
    fail(
        "model.501",
        "metadata key \"general.architecture\" is \"" + config.model_type + "\", expected llama, qwen2, qwen3 or gemma",
        gguf.path());
  }
  const std::string prefix = config.model_type + ".";
  detail::check_gguf_keys(gguf, prefix);
  const auto size = [&](const char* key) { return static_cast<Index>(gguf.at<std::int64_t>(prefix + key)); };
  config.dim = size("embedding_length");
  config.layers = size("block_count");
  config.heads = size("attention.head_count");
  config.kv_heads = gguf.get<std::int64_t>(prefix + "attention.head_count_kv").value_or(config.heads);
  config.ffn = size("feed_forward_length");
  config.context = size("context_length");
  config.norm_eps = gguf.at<double>(prefix + "attention.layer_norm_rms_epsilon");
  config.head_dim =
      gguf.get<std::int64_t>(prefix + "attention.key_length").value_or(config.dim / std::max<Index>(1, config.heads));
  const auto value_length = gguf.get<std::int64_t>(prefix + "attention.value_length").value_or(config.head_dim);
  if (value_length != config.head_dim) {
    fail("model.502",
         "metadata key \"" + prefix + "attention.value_length\" is " + std::to_string(value_length) +
             ", expected the head size " + std::to_string(config.head_dim),
         gguf.path());
  }
  const io::TensorRef* embedding = gguf.find("token_embd.weight");
  if (embedding == nullptr) {
    fail("model.510", "tensor \"token_embd.weight\" is missing", gguf.path());
  }
  config.vocab = embedding->rows();
  config.tied_head = gguf.find("output.weight") == nullptr;
  config.qkv_bias = gguf.find("blk.0.attn_q.bias") != nullptr;
  config.output_bias = gguf.find("blk.0.attn_output.bias") != nullptr;
  config.mlp_bias = gguf.find("blk.0.ffn_gate.bias") != nullptr;
  config.qk_norm = config.model_type == "qwen3";
  config.activation = gemma ? Activation::gelu_tanh : Activation::silu;
  config.embedding_scale = gemma ? std::sqrt(static_cast<double>(config.dim)) : 1;
  detail::read_gguf_rope(gguf, prefix, config);
  validate(config, gguf.path());
  return config;
}

/// Maps the file; nothing is decoded but RoPE's factors and the tokenizer's texts.
[[nodiscard]] inline Checkpoint open_gguf(const std::string& path) {
  const io::Gguf gguf = io::Gguf::open(path);
  Checkpoint checkpoint;
  checkpoint.path = path;
  checkpoint.kind = "GGUF";
  checkpoint.config = parse_gguf_config(gguf);
  checkpoint.keepalive.push_back(gguf.keepalive());
  LlamaConfig& config = checkpoint.config;
  for (io::TensorRef tensor : gguf.tensors()) {
    if (tensor.name == "rope_freqs.weight") {
      continue;
    }
    tensor.name = hf_name(tensor.name);
    tensor.pair_heads = gguf_pair_heads(config, tensor.name);
    checkpoint.tensors.push_back(std::move(tensor));
  }
  check_tensors(checkpoint);
  const auto kind = gguf.get<std::string_view>("tokenizer.ggml.model").value_or("none");
  if (kind != "none" && kind != "no_vocab") {
    checkpoint.tokenizer = io::read_tokenizer(gguf);
    config.bos = checkpoint.tokenizer->bos;
    config.pad = checkpoint.tokenizer->pad;
    for (const std::int32_t id : {checkpoint.tokenizer->eos, checkpoint.tokenizer->eot}) {
      if (id >= 0 && std::find(config.eos.begin(), config.eos.end(), id) == config.eos.end()) {
        config.eos.push_back(id);
      }
    }
  }
  return checkpoint;
}

}  // namespace graft::models
