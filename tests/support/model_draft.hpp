// SPDX-License-Identifier: Apache-2.0
// ModelDraft: a golden model in memory, to be changed or broken and written again in any container.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include <graft/io/json.hpp>
#include <graft/io/safetensors.hpp>

#include "support/files.hpp"
#include "support/gguf_builder.hpp"
#include "support/paths.hpp"

namespace graft::test {

struct TensorDraft {
  std::string name;
  io::Dtype dtype;
  std::vector<Index> shape;
  std::string bytes;
};

/// The rows of a q or k projection (or bias) moved to adjacent RoPE pairs: reshape(heads, 2, half, ...).swapaxes(1, 2), as
/// llama.cpp's converter and llama2.c's export do it.
inline std::string paired(const TensorDraft& tensor, Index heads) {
  const auto rows = static_cast<std::size_t>(tensor.shape[0]);
  const std::size_t row_bytes = tensor.bytes.size() / rows;
  const std::size_t half = rows / static_cast<std::size_t>(heads) / 2;
  std::string moved;
  for (std::size_t h = 0; h < static_cast<std::size_t>(heads); ++h) {
    for (std::size_t i = 0; i < half; ++i) {
      for (std::size_t s = 0; s < 2; ++s) {
        moved += tensor.bytes.substr(((h * 2 + s) * half + i) * row_bytes, row_bytes);
      }
    }
  }
  return moved;
}

struct ModelDraft {
  io::Json config;
  std::vector<TensorDraft> tensors;

  /// The golden model of that name.
  explicit ModelDraft(const std::string& name)
      : config(io::parse_json(slurp(golden("models/" + name + "/config.json")), name)) {
    const auto file = io::Safetensors::open(golden("models/" + name + "/model.safetensors"));
    for (const io::TensorRef& tensor : file.tensors()) {
      tensors.push_back({tensor.name, tensor.dtype, tensor.shape,
                         std::string(reinterpret_cast<const char*>(tensor.data), tensor.bytes)});
    }
  }

  [[nodiscard]] std::vector<TensorDraft>::iterator find(const std::string& name) {
    return std::find_if(tensors.begin(), tensors.end(), [&](const TensorDraft& t) { return t.name == name; });
  }
  [[nodiscard]] TensorDraft& at(const std::string& name) { return *find(name); }

  /// Writes some of the tensors as one safetensors file.
  static void write_tensors(const std::string& path, const std::vector<TensorDraft>& tensors) {
    std::vector<io::TensorRef> refs;
    for (const TensorDraft& t : tensors) {
      refs.push_back(
          {t.name, t.dtype, t.shape, reinterpret_cast<const std::byte*>(t.bytes.data()), t.bytes.size(), path});
    }
    io::write_safetensors(path, refs, {{"format", "pt"}});
  }

  /// Writes config.json and model.safetensors into the folder.
  void write_folder(const TempFolder& folder) const {
    (void)folder.write("config.json", config.dump());
    write_tensors(folder.path("model.safetensors"), tensors);
  }

  /// The GGUF file that llama.cpp's converter makes of the model, all F32.
  [[nodiscard]] GgufBuilder gguf(const std::string& architecture) const {
    GgufBuilder builder;
    const auto number = [&](const char* key) { return config.at(key).get<std::uint32_t>(); };
    const std::string a = architecture + ".";
    builder.add("general.architecture", architecture).add(a + "context_length", number("max_position_embeddings"));
    builder.add(a + "embedding_length", number("hidden_size")).add(a + "block_count", number("num_hidden_layers"));
    builder.add(a + "feed_forward_length", number("intermediate_size"))
        .add(a + "attention.head_count", number("num_attention_heads"));
    builder.add(a + "attention.head_count_kv", number("num_key_value_heads"));
    builder.add(a + "attention.layer_norm_rms_epsilon", config.at("rms_norm_eps").get<float>());
    if (config.contains("rope_theta")) {
      builder.add(a + "rope.freq_base", config.at("rope_theta").get<float>());
    }
    if (config.contains("head_dim")) {
      builder.add(a + "attention.key_length", number("head_dim")).add(a + "attention.value_length", number("head_dim"));
      builder.add(a + "rope.dimension_count", number("head_dim"));
    }
    for (const TensorDraft& tensor : tensors) {
      const bool query = tensor.name.find(".q_proj.") != std::string::npos;
      const bool key = tensor.name.find(".k_proj.") != std::string::npos;
      const Index heads = number(query ? "num_attention_heads" : "num_key_value_heads");
      const bool moved = architecture == "llama" && (query || key);
      builder.tensor(gguf_name(tensor.name), tensor.shape, 0, moved ? paired(tensor, heads) : tensor.bytes);
    }
    return builder;
  }

  [[nodiscard]] static std::string gguf_name(std::string name) {
    const auto replace = [&name](const std::string& from, const std::string& to) {
      if (const std::size_t at = name.find(from); at != std::string::npos) {
        name.replace(at, from.size(), to);
      }
    };
    replace("model.layers.", "blk.");
    replace("self_attn.o_proj", "attn_output");
    for (const char* part : {"q", "k", "v"}) {
      replace(std::string("self_attn.") + part + "_proj", std::string("attn_") + part);
      replace(std::string("self_attn.") + part + "_norm", std::string("attn_") + part + "_norm");
    }
    for (const char* part : {"gate", "up", "down"}) {
      replace(std::string("mlp.") + part + "_proj", std::string("ffn_") + part);
    }
    replace("input_layernorm", "attn_norm");
    replace("post_attention_layernorm", "ffn_norm");
    replace("model.embed_tokens", "token_embd");
    replace("model.norm", "output_norm");
    replace("lm_head", "output");
    return name;
  }
};

}  // namespace graft::test
