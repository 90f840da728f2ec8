// SPDX-License-Identifier: Apache-2.0
#include <graft/models/gguf_names.hpp>

#include <string>

#include "support/catch.hpp"
#include "support/model_draft.hpp"

using namespace graft;

TEST_CASE("every tensor of a model has a GGUF name, from which its own comes back") {
  for (const std::string name : {"llama-mha", "qwen2-bias", "qwen3-qknorm", "gemma"}) {
    for (const test::TensorDraft& tensor : test::ModelDraft(name).tensors) {
      const std::string gguf = models::gguf_name(tensor.name);
      CHECK(gguf == test::ModelDraft::gguf_name(tensor.name));
      CHECK(models::hf_name(gguf) == tensor.name);
    }
  }
  CHECK(models::hf_name("blk.3.attn_rot_embd.weight") == "blk.3.attn_rot_embd.weight");
  CHECK(models::gguf_name("model.layers.3") == "model.layers.3");
}

TEST_CASE("rows stand in pairs in q and k of architecture llama only, which is Mistral's too") {
  models::LlamaConfig config;
  config.heads = 4;
  config.kv_heads = 2;
  config.model_type = "mistral";
  CHECK(models::gguf_architecture(config) == "llama");
  CHECK(models::gguf_pair_heads(config, "model.layers.0.self_attn.q_proj.weight") == 4);
  CHECK(models::gguf_pair_heads(config, "model.layers.0.self_attn.k_proj.bias") == 2);
  CHECK(models::gguf_pair_heads(config, "model.layers.0.self_attn.v_proj.weight") == 0);
  config.model_type = "qwen2";
  CHECK(models::gguf_pair_heads(config, "model.layers.0.self_attn.q_proj.weight") == 0);
}
