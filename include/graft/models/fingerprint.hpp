// SPDX-License-Identifier: Apache-2.0
// Fingerprint: tells the base model of an adapter from every other one, by its shape and a hash of some of its weights.
#pragma once

#include <string>
#include <vector>

#include <graft/io/decode.hpp>
#include <graft/io/hash.hpp>
#include <graft/io/json.hpp>
#include <graft/models/checkpoint.hpp>

namespace graft::models {

/// What an adapter file remembers of the weights it was trained on.
struct Fingerprint {
  Index vocab = 0;     ///< V
  Index dim = 0;       ///< D
  Index layers = 0;    ///< L
  Index heads = 0;     ///< H
  Index kv_heads = 0;  ///< G
  Index head_dim = 0;  ///< K
  Index ffn = 0;       ///< F
  std::string hash;    ///< of some weights, 16 hexadecimal digits

  friend bool operator==(const Fingerprint&, const Fingerprint&) = default;

  /// Calls visit(name, extent), by the names that files hold.
  template <class Visitor>
  void for_each_number(Visitor&& visit) {
    visit("vocab", vocab);
    visit("dim", dim);
    visit("layers", layers);
    visit("heads", heads);
    visit("kv_heads", kv_heads);
    visit("head_dim", head_dim);
    visit("ffn", ffn);
  }
  /// For messages.
  [[nodiscard]] std::string text() const {
    return std::to_string(layers) + " layers of width " + std::to_string(dim) + " with " + std::to_string(vocab) +
           " tokens and weights " + hash;
  }
};

/// Hashes four rows of five tensors, decoded to float: the same model has one fingerprint in every container that holds
/// the same numbers, and in every precision that it is loaded in.
[[nodiscard]] inline Fingerprint fingerprint_of(const Checkpoint& checkpoint) {
  const LlamaConfig& c = checkpoint.config;
  const std::string middle = "model.layers." + std::to_string(c.layers / 2) + ".";
  const std::string last = "model.layers." + std::to_string(c.layers - 1) + ".";
  std::uint64_t hash = io::fnv1a({});
  for (const std::string& name :
       {std::string("model.embed_tokens.weight"), middle + "self_attn.v_proj.weight", middle + "mlp.up_proj.weight",
        last + "mlp.down_proj.weight", std::string("model.norm.weight")}) {
    const io::TensorRef& tensor = checkpoint.tensor(name);
    Tensor<float> row(1, tensor.cols());
    for (Index i = 0; i < 4; ++i) {
      io::decode_rows(tensor, i * (tensor.rows() - 1) / 3, row.view());
      hash = io::fnv1a(std::as_bytes(std::span(row.data(), static_cast<std::size_t>(row.size()))), hash);
    }
  }
  return {c.vocab, c.dim, c.layers, c.heads, c.kv_heads, c.head_dim, c.ffn, io::hash_text(hash)};
}

/// As adapter_config.json holds it.
[[nodiscard]] inline io::Json to_json(Fingerprint fingerprint) {
  io::Json json = {{"hash", fingerprint.hash}};
  fingerprint.for_each_number([&](const char* name, Index value) { json[name] = value; });
  return json;
}

/// From adapter_config.json; `where` names it in errors.
[[nodiscard]] inline Fingerprint fingerprint_from(const io::Json& json, const std::string& where) {
  Fingerprint fingerprint;
  fingerprint.hash = io::json_get<std::string>(json, "hash", where);
  fingerprint.for_each_number([&](const char* name, Index& value) { value = io::json_get<Index>(json, name, where); });
  return fingerprint;
}

}  // namespace graft::models
