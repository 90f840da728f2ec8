// SPDX-License-Identifier: Apache-2.0
// open_llama2c: a llama2.c model.bin (version 0) as a Checkpoint under Hugging Face names.
//
// Layout: 7 int32 dim, ffn, layers, heads, kv heads, vocab (negative: the head is not tied), context; then float32, each kind
// for all layers in turn: embedding, attention norms, q, k, v, o, feed-forward norms, gate, down, up, final norm, RoPE's
// cosines and sines (unused), head unless tied. q and k rows stand in adjacent RoPE pairs. Source: karpathy/llama2.c, run.c.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>  // memcpy
#include <string>
#include <vector>

#include <graft/base/require.hpp>
#include <graft/io/mapped_file.hpp>
#include <graft/models/checkpoint.hpp>

namespace graft::models {

namespace detail {

/// One kind of tensor: its name, inside a layer if it stands once a layer, and its shape.
struct Llama2cKind {
  std::string name;
  bool layered;
  std::vector<Index> shape;
  Index pair_heads = 0;
};

[[nodiscard]] inline std::vector<Llama2cKind> llama2c_kinds(const LlamaConfig& c) {
  std::vector<Llama2cKind> kinds = {
      {"model.embed_tokens.weight", false, {c.vocab, c.dim}},
      {"input_layernorm.weight", true, {c.dim}},
      {"self_attn.q_proj.weight", true, {c.q_dim(), c.dim}, c.heads},
      {"self_attn.k_proj.weight", true, {c.kv_dim(), c.dim}, c.kv_heads},
      {"self_attn.v_proj.weight", true, {c.kv_dim(), c.dim}},
      {"self_attn.o_proj.weight", true, {c.dim, c.q_dim()}},
      {"post_attention_layernorm.weight", true, {c.dim}},
      {"mlp.gate_proj.weight", true, {c.ffn, c.dim}},
      {"mlp.down_proj.weight", true, {c.dim, c.ffn}},
      {"mlp.up_proj.weight", true, {c.ffn, c.dim}},
      {"model.norm.weight", false, {c.dim}},
      {"", false, {c.context, c.head_dim}},  // half of it cosines, half sines
  };
  if (!c.tied_head) {
    kinds.push_back({"lm_head.weight", false, {c.vocab, c.dim}});
  }
  return kinds;
}

}  // namespace detail

/// Maps the file; its size must be what the header promises (model.522).
[[nodiscard]] inline Checkpoint open_llama2c(const std::string& path) {
  const auto file = io::MappedFile::open(path);
  const auto bytes = file->bytes();
  std::array<std::int32_t, 7> header{};
  if (bytes.size() < sizeof header) {
    fail("model.522", "the file has " + std::to_string(bytes.size()) + " bytes, expected at least a header of 28",
         path);
  }
  std::memcpy(header.data(), bytes.data(), sizeof header);
  if (header[0] == 0x616b3432) {  // "ak42"
    fail("model.522", "this is a llama2.c file of version 1 or 2, expected version 0: export it with --version 0",
         path);
  }
  Checkpoint checkpoint;
  checkpoint.path = path;
  checkpoint.kind = "llama2.c";
  checkpoint.keepalive.push_back(file);
  LlamaConfig& config = checkpoint.config;
  config.model_type = "llama";
  config.dim = header[0];
  config.ffn = header[1];
  config.layers = header[2];
  config.heads = header[3];
  config.kv_heads = header[4];
  config.tied_head = header[5] > 0;
  config.vocab = config.tied_head ? Index{header[5]} : -Index{header[5]};
  config.context = header[6];
  config.head_dim = config.heads > 0 ? config.dim / config.heads : 0;
  config.norm_eps = 1e-5;
  config.bos = 1;
  config.eos = {2};
  validate(config, path);
  std::size_t position = sizeof header;
  for (const detail::Llama2cKind& kind : detail::llama2c_kinds(config)) {
    const std::size_t size = *io::byte_count(io::Dtype::f32, kind.shape);
    for (Index layer = 0; layer < (kind.layered ? config.layers : 1); ++layer) {
      if (size > bytes.size() - position) {
        fail("model.522",
             "the file has " + std::to_string(bytes.size()) +
                 " bytes, but its header promises more: it is truncated or not a llama2.c model",
             path);
      }
      if (!kind.name.empty()) {
        const std::string prefix = kind.layered ? "model.layers." + std::to_string(layer) + "." : "";
        checkpoint.tensors.push_back(
            {prefix + kind.name, io::Dtype::f32, kind.shape, bytes.data() + position, size, path, kind.pair_heads});
      }
      position += size;
    }
  }
  if (position != bytes.size()) {
    fail("model.522",
         "the file has " + std::to_string(bytes.size()) + " bytes, but its header promises " +
             std::to_string(position) + ": it is damaged or not a llama2.c model",
         path);
  }
  check_tensors(checkpoint);
  return checkpoint;
}

}  // namespace graft::models
