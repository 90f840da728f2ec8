// SPDX-License-Identifier: Apache-2.0
// write_gguf: a model as one GGUF file that llama.cpp runs: architecture, tokenizer, chat template and tensors.
//
// Matrices are written as F32, F16, BF16 or Q8_0 (F16 where their rows are no multiple of 32, as llama-quantize does), norms and
// biases as F32. A GGUF base keeps its own metadata. Source: llama.cpp, convert_hf_to_gguf.py.
#pragma once

#include <algorithm>  // min
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <graft/base/require.hpp>
#include <graft/io/encode.hpp>
#include <graft/io/write_gguf.hpp>
#include <graft/models/gguf_checkpoint.hpp>
#include <graft/models/merge.hpp>
#include <graft/models/tokenizer_for_gguf.hpp>

namespace graft::models {

namespace detail {

/// What llama.cpp's graph of the architecture computes is what the configuration says, or model.515.
inline void check_gguf_config(const LlamaConfig& c, const std::string& path) {
  const auto holds = [&](bool condition, const std::string& what) {
    if (!condition) {
      fail("model.515",
           "llama.cpp's architecture " + gguf_architecture(c) + " has " + what + ", and this model (" + c.model_type +
               ") differs; keep it as a Hugging Face folder",
           path);
    }
  };
  const bool llama = gguf_architecture(c) == "llama";
  const bool gemma = c.model_type == "gemma";
  holds(c.activation == (gemma ? Activation::gelu_tanh : Activation::silu), gemma ? "a tanh GELU" : "a SiLU");
  holds(llama || (!c.output_bias && !c.mlp_bias), "no biases at attn_output and the feed-forward");
  holds(!gemma || (c.tied_head && !c.qkv_bias), "a tied head and no biases");
  holds(c.model_type != "qwen3" || !c.qkv_bias, "no biases at q, k and v");
}

/// The divisors of the frequencies, which are how GGUF says llama3 scaling; empty where it needs none.
[[nodiscard]] inline std::vector<float> rope_divisors(const LlamaConfig& config) {
  const RopeScaling& scaling = config.rope_scaling;
  if (scaling.kind != RopeScaling::Kind::llama3) {
    return scaling.factors;
  }
  LlamaConfig plain = config;
  plain.rope_scaling = {};
  const std::vector<double> scaled = rope_frequencies(config);
  std::vector<float> divisors;
  for (const double frequency : rope_frequencies(plain)) {
    divisors.push_back(static_cast<float>(frequency / scaled[divisors.size()]));
  }
  return divisors;
}

inline void put_architecture(io::GgufMetadata& metadata, const LlamaConfig& c) {
  const std::string prefix = gguf_architecture(c) + ".";
  const auto count = [&](const char* key, Index value) {
    metadata.set(prefix + key, static_cast<std::uint32_t>(value));
  };
  metadata.set("general.architecture", gguf_architecture(c));
  metadata.set("general.type", "model");
  count("vocab_size", c.vocab);
  // a window that llama.cpp does not have does nothing in a context that fits into it
  count("context_length", c.window > 0 ? std::min(c.window, c.context) : c.context);
  count("embedding_length", c.dim);
  count("block_count", c.layers);
  count("feed_forward_length", c.ffn);
  count("attention.head_count", c.heads);
  count("attention.head_count_kv", c.kv_heads);
  count("attention.key_length", c.head_dim);
  count("attention.value_length", c.head_dim);
  count("rope.dimension_count", c.head_dim);
  metadata.set(prefix + "attention.layer_norm_rms_epsilon", static_cast<float>(c.norm_eps));
  metadata.set(prefix + "rope.freq_base", static_cast<float>(c.rope_theta));
  if (c.rope_scaling.kind == RopeScaling::Kind::linear) {
    metadata.set(prefix + "rope.scaling.type", "linear");
    metadata.set(prefix + "rope.scaling.factor", static_cast<float>(c.rope_scaling.factor));
  }
}

inline void put_tokenizer(io::GgufMetadata& metadata, const text::TokenizerArrays& arrays) {
  const std::string prefix = "tokenizer.ggml.";
  metadata.set(prefix + "model", arrays.model);
  metadata.set(prefix + "pre", arrays.pre.empty() ? std::string("default") : arrays.pre);
  metadata.set(prefix + "tokens", arrays.tokens);
  if (!arrays.scores.empty()) {
    metadata.set(prefix + "scores", arrays.scores);
  }
  metadata.set(prefix + "token_type", arrays.types);
  if (!arrays.merges.empty()) {
    metadata.set(prefix + "merges", arrays.merges);
  }
  const auto id = [&](const char* key, std::int32_t value) {
    if (value >= 0) {
      metadata.set(prefix + key, static_cast<std::uint32_t>(value));
    }
  };
  id("bos_token_id", arrays.bos);
  id("eos_token_id", arrays.eos);
  id("eot_token_id", arrays.eot);
  id("padding_token_id", arrays.pad);
  id("unknown_token_id", arrays.unk);
  metadata.set(prefix + "add_bos_token", arrays.add_bos);
  metadata.set(prefix + "add_eos_token", arrays.add_eos);
  if (arrays.model == "llama") {
    metadata.set(prefix + "add_space_prefix", arrays.add_space_prefix);
  }
  if (!arrays.chat_template.empty()) {
    metadata.set("tokenizer.chat_template", arrays.chat_template);
  }
}

/// The header of a GGUF base as it stands, without what speaks of its coding and its parts; else one made for the model.
[[nodiscard]] inline io::GgufMetadata gguf_metadata(const Checkpoint& checkpoint, io::Dtype dtype, bool& tokenizer) {
  io::GgufMetadata metadata;
  if (checkpoint.kind == "GGUF") {
    const io::Gguf base = io::Gguf::open(checkpoint.path);
    for (const io::GgufField& field : base.fields()) {
      if (!field.key.starts_with("split.") && !field.key.starts_with("quantize.")) {
        metadata.set(field);
      }
    }
    tokenizer = checkpoint.tokenizer.has_value();
  } else {
    put_architecture(metadata, checkpoint.config);
    const auto arrays = tokenizer_for_gguf(checkpoint);
    tokenizer = arrays.has_value();
    if (arrays) {
      put_tokenizer(metadata, *arrays);
    } else {
      metadata.set("tokenizer.ggml.model", "none");
    }
  }
  const std::uint32_t type = dtype == io::Dtype::f32    ? 0
                             : dtype == io::Dtype::f16  ? 1
                             : dtype == io::Dtype::q8_0 ? 7
                                                        : 32;
  metadata.set("general.file_type", type);  // llama.h: LLAMA_FTYPE
  if (dtype == io::Dtype::q8_0) {
    metadata.set("general.quantization_version", std::uint32_t{2});
  } else {
    metadata.erase("general.quantization_version");
  }
  return metadata;
}

/// How one tensor of the model goes into the file.
[[nodiscard]] inline io::TensorRef gguf_tensor(const LlamaConfig& config, const TensorSpec& spec, io::Dtype dtype,
                                               const std::string& path) {
  io::TensorRef tensor{gguf_name(spec.name), dtype, spec.shape, nullptr, 0, path, gguf_pair_heads(config, spec.name)};
  if (spec.shape.size() < 2) {
    tensor.dtype = io::Dtype::f32;
  } else if (tensor.cols() % io::block_size(dtype) != 0) {
    tensor.dtype = io::Dtype::f16;
  }
  tensor.bytes = *io::byte_count(tensor.dtype, std::span(spec.shape));
  return tensor;
}

}  // namespace detail

/// Writes a model as one GGUF file, whole or not at all. `fill(spec, values)` computes one tensor at a time under its Hugging Face
/// name, a vector being one row, as for write_huggingface. A coding that is not written is io.270, a number beyond F16 io.271,
/// NaN and infinity model.513, a configuration that llama.cpp does not compute model.515, a tokenizer that it would read
/// otherwise model.516. A model without tokenizer gets "none": llama.cpp then takes ids. Says whether a tokenizer went along.
template <class Fill>
bool write_gguf(const std::string& path, const Checkpoint& checkpoint, io::Dtype dtype, Fill&& fill) {
  const LlamaConfig& config = checkpoint.config;
  if (!io::is_encodable(dtype)) {
    fail("io.270",
         "a model cannot be written as " + std::string(io::dtype_name(dtype)) + ", expected F32, F16, BF16 or Q8_0",
         path);
  }
  detail::check_gguf_config(config, path);
  bool tokenizer = false;
  const io::GgufMetadata metadata = detail::gguf_metadata(checkpoint, dtype, tokenizer);
  const std::vector<TensorSpec> specs = tensor_specs(config);
  std::vector<io::TensorRef> refs;
  for (const TensorSpec& spec : specs) {
    refs.push_back(detail::gguf_tensor(config, spec, dtype, path));
  }
  const std::vector<float> divisors = detail::rope_divisors(config);
  if (!divisors.empty()) {
    const View<const float> row(divisors.data(), 1, std::ssize(divisors));
    refs.push_back(io::tensor_ref("rope_freqs.weight", row, {row.cols}));
  }
  std::size_t next = 0;
  std::vector<std::byte> bytes;
  io::write_gguf(path, metadata, refs, [&](const io::TensorRef& ref) {
    if (next == specs.size()) {
      return std::span(ref.data, ref.bytes);
    }
    const TensorSpec& spec = specs[next++];
    Tensor<float> values(ref.rows(), ref.cols());
    fill(spec, values.view());
    check_finite<float>(std::as_const(values).view(), ref);
    if (config.norm_offset != 0 &&
        spec.name.find("norm.") != std::string::npos) {  // Gemma: files of llama.cpp hold 1 + w
      for (Index i = 0; i < values.size(); ++i) {
        values.data()[i] += static_cast<float>(config.norm_offset);
      }
    }
    bytes = io::encode(ref, std::as_const(values).view());
    return std::span<const std::byte>(bytes);
  });
  return tokenizer;
}

/// Writes a checkpoint as it is.
inline bool write_gguf(const std::string& path, const Checkpoint& checkpoint, io::Dtype dtype) {
  return write_gguf(path, checkpoint, dtype, [&](const TensorSpec& spec, View<float> values) {
    const Tensor<float> decoded = load_tensor<float>(checkpoint, spec.name, values.rows, values.cols);
    std::copy_n(decoded.data(), decoded.size(), values.data);
  });
}

/// Writes checkpoint + adapter: write_merged's tensors in write_gguf's file, with the errors of both.
template <class B, class AttachedType>
MergeReport write_merged_gguf(const std::string& path, const Checkpoint& checkpoint, const B& be,
                              AttachedType& attached, io::Dtype dtype) {
  Checkpoint merged = checkpoint;
  merged.config = detail::merged_config(attached, checkpoint, path);
  detail::Merging<B, AttachedType> merging{checkpoint, be, attached};
  merging.report.tokenizer = write_gguf(path, merged, dtype, merging);
  return merging.report;
}

}  // namespace graft::models
