// SPDX-License-Identifier: Apache-2.0
// open_huggingface: a folder with config.json and one or many safetensors files as a Checkpoint.
#pragma once

#include <algorithm>  // find
#include <cstring>    // memcmp
#include <map>
#include <string>
#include <vector>

#include <graft/base/require.hpp>
#include <graft/io/atomic_file.hpp>  // read_text
#include <graft/io/json.hpp>
#include <graft/io/path.hpp>
#include <graft/io/safetensors.hpp>
#include <graft/models/checkpoint.hpp>
#include <graft/models/hf_config.hpp>

namespace graft::models {

namespace detail {

inline void add_tensors(Checkpoint& checkpoint, const io::Safetensors& file) {
  checkpoint.keepalive.push_back(file.keepalive());
  for (const io::TensorRef& tensor : file.tensors()) {
    if (!tensor.name.ends_with(
            ".rotary_emb.inv_freq")) {  // old files keep RoPE's frequencies, which follow from the config
      checkpoint.tensors.push_back(tensor);
    }
  }
}

/// The shards that the index names must hold exactly the tensors that it promises (model.521).
inline void add_shards(Checkpoint& checkpoint, const std::string& index_path) {
  const io::Json index = io::parse_json(io::read_text(index_path), index_path);
  const auto map = io::json_get<std::map<std::string, std::string>>(index, "weight_map", index_path);
  std::map<std::string, io::Safetensors> shards;
  for (const auto& [name, shard] : map) {
    if (shard.empty() || shard.find('/') != std::string::npos) {
      fail("model.521",
           "tensor \"" + name + "\" is said to lie in \"" + shard + "\", expected a file of the same folder",
           index_path);
    }
    if (!shards.contains(shard)) {
      shards.emplace(shard, io::Safetensors::open(io::join(checkpoint.path, shard)));
    }
    if (shards.at(shard).find(name) == nullptr) {
      fail("model.521", "tensor \"" + name + "\" is said to lie in \"" + shard + "\", which does not hold it",
           index_path);
    }
  }
  for (const auto& [shard, file] : shards) {
    for (const io::TensorRef& tensor : file.tensors()) {
      const auto entry = map.find(tensor.name);
      if (entry == map.end() || entry->second != shard) {
        fail("model.521", "tensor \"" + tensor.name + "\" lies in \"" + shard + "\", which the index does not say",
             index_path);
      }
    }
    add_tensors(checkpoint, file);
  }
}

/// A tied head that was saved all the same says the same as the embedding, and is left out.
inline void drop_tied_head(Checkpoint& checkpoint) {
  const auto named = [&](const char* name) {
    return std::find_if(checkpoint.tensors.begin(), checkpoint.tensors.end(),
                        [&](const auto& t) { return t.name == name; });
  };
  const auto head = named("lm_head.weight");
  const auto embedding = named("model.embed_tokens.weight");
  if (!checkpoint.config.tied_head || head == checkpoint.tensors.end() || embedding == checkpoint.tensors.end()) {
    return;
  }
  if (head->dtype != embedding->dtype || head->shape != embedding->shape ||
      std::memcmp(head->data, embedding->data, head->bytes) != 0) {
    fail("model.511",
         "tensor \"lm_head.weight\" differs from \"model.embed_tokens.weight\", but the config key "
         "\"tie_word_embeddings\" "
         "says that they are one",
         head->file);
  }
  checkpoint.tensors.erase(head);
}

}  // namespace detail

/// Reads config.json, generation_config.json (its end tokens) where present, and model.safetensors or the shards of
/// model.safetensors.index.json.
[[nodiscard]] inline Checkpoint open_huggingface(const std::string& folder) {
  Checkpoint checkpoint;
  checkpoint.path = folder;
  checkpoint.kind = "Hugging Face";
  const std::string config_path = io::join(folder, "config.json");
  if (!io::exists(config_path)) {
    fail("model.520",
         "the folder holds no config.json: expected config.json beside model.safetensors or "
         "model.safetensors.index.json",
         folder);
  }
  checkpoint.config = parse_hf_config(io::parse_json(io::read_text(config_path), config_path), config_path);
  const std::string generation_path = io::join(folder, "generation_config.json");
  if (io::exists(generation_path)) {
    const io::Json generation = io::parse_json(io::read_text(generation_path), generation_path);
    auto& eos = checkpoint.config.eos;
    for (const std::int32_t id : read_token_ids(generation, "eos_token_id", generation_path)) {
      if (std::find(eos.begin(), eos.end(), id) == eos.end()) {
        eos.push_back(id);
      }
    }
  }
  const std::string single = io::join(folder, "model.safetensors");
  const std::string index = io::join(folder, "model.safetensors.index.json");
  if (io::exists(single)) {
    detail::add_tensors(checkpoint, io::Safetensors::open(single));
  } else if (io::exists(index)) {
    detail::add_shards(checkpoint, index);
  } else {
    fail("model.520",
         "the folder holds config.json but neither model.safetensors nor model.safetensors.index.json; other weight "
         "files are not read",
         folder);
  }
  detail::drop_tied_head(checkpoint);
  check_tensors(checkpoint);
  return checkpoint;
}

}  // namespace graft::models
