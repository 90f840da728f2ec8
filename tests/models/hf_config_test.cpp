// SPDX-License-Identifier: Apache-2.0
#include <graft/models/hf_config.hpp>

#include <cmath>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/files.hpp"
#include "support/paths.hpp"

using namespace graft;
using io::Json;
using models::Activation;
using models::LlamaConfig;
using models::RopeScaling;
using test::contains;
using test::error_of;

namespace {

Json golden_config(const std::string& name) {
  return io::parse_json(test::slurp(test::golden("models/" + name)), name);
}

LlamaConfig parse(const Json& json) {
  return models::parse_hf_config(json, "config.json");
}

/// The golden config of a family with some keys replaced or added.
Json changed(const std::string& family, const std::string& patch) {
  Json json = golden_config(family + "/config.json");
  json.update(io::parse_json(patch, "patch"));
  return json;
}

Error failure(const Json& json) {
  return error_of([&] { (void)parse(json); });
}

}  // namespace

TEST_CASE("the golden configurations of every family read as transformers reads them") {
  const LlamaConfig gqa = parse(golden_config("llama-gqa/config.json"));
  CHECK((gqa.vocab == 131 && gqa.dim == 48 && gqa.layers == 3 && gqa.heads == 6 && gqa.kv_heads == 2 &&
         gqa.head_dim == 8));
  CHECK((gqa.ffn == 101 && gqa.context == 128 && gqa.norm_eps == 1e-5 && gqa.rope_theta == 100000 && gqa.tied_head));
  CHECK((gqa.eos == std::vector<std::int32_t>{2} && gqa.bos == 1 && gqa.pad == 0));
  CHECK((gqa.norm_offset == 0 && gqa.embedding_scale == 1 && gqa.activation == Activation::silu));
  CHECK(parse(golden_config("llama-headdim/config.json")).head_dim == 10);
  CHECK(parse(golden_config("mistral-window/config.json")).layer_window(0) == 7);
  const LlamaConfig qwen2 = parse(golden_config("qwen2-bias/config.json"));
  CHECK((qwen2.qkv_bias && !qwen2.output_bias && qwen2.window == 0 && qwen2.head_dim == 12));
  const LlamaConfig qwen3 = parse(golden_config("qwen3-qknorm/config.json"));
  CHECK((qwen3.qk_norm && !qwen3.qkv_bias && qwen3.rope_theta == 1e6 && qwen3.head_dim == 16 && qwen3.window == 0));
  const LlamaConfig gemma = parse(golden_config("gemma/config.json"));
  CHECK((gemma.norm_offset == 1 && gemma.embedding_scale == std::sqrt(48.0) &&
         gemma.activation == Activation::gelu_tanh));
  CHECK((gemma.tied_head && gemma.kv_heads == 1 && gemma.head_dim == 16));
}

TEST_CASE("the spellings of transformers 4 and 5 give the same RoPE") {
  for (const char* name : {"llama3-rope/config.json", "llama3-rope/config-v5.json"}) {
    const LlamaConfig config = parse(golden_config(name));
    CHECK(config.rope_theta == 500);
    CHECK(config.rope_scaling.kind == RopeScaling::Kind::llama3);
    CHECK((config.rope_scaling.factor == 4 && config.rope_scaling.low_freq_factor == 1));
    CHECK((config.rope_scaling.high_freq_factor == 4 && config.rope_scaling.original_context == 16));
  }
  const LlamaConfig linear = parse(changed("llama-mha", R"({"rope_scaling": {"type": "linear", "factor": 2.5}})"));
  CHECK((linear.rope_scaling.kind == RopeScaling::Kind::linear && linear.rope_scaling.factor == 2.5));
}

TEST_CASE("absent keys take the defaults of the family") {
  Json json = golden_config("llama-mha/config.json");
  for (const char* key : {"num_key_value_heads", "head_dim", "tie_word_embeddings", "rope_theta", "rms_norm_eps",
                          "hidden_act", "max_position_embeddings", "eos_token_id", "attention_bias", "mlp_bias"}) {
    json.erase(key);
  }
  const LlamaConfig config = parse(json);
  CHECK((config.kv_heads == 4 && config.head_dim == 12 && !config.tied_head && config.rope_theta == 10000));
  CHECK((config.norm_eps == 1e-6 && config.context == 2048 && config.eos.empty() && !config.qkv_bias &&
         !config.mlp_bias));
  Json mistral = golden_config("mistral-window/config.json");
  mistral.erase("sliding_window");
  CHECK(parse(mistral).window == 4096);
  mistral["sliding_window"] = nullptr;
  CHECK(parse(mistral).window == 0);
}

TEST_CASE("keys that several families share mean what each family's code does with them") {
  const LlamaConfig biased = parse(changed("llama-mha", R"({"attention_bias": true, "mlp_bias": true})"));
  CHECK((biased.qkv_bias && biased.output_bias && biased.mlp_bias));
  const Json windowed =
      changed("qwen2-bias", R"({"use_sliding_window": true, "sliding_window": 16, "max_window_layers": 1})");
  CHECK(
      (parse(windowed).window == 16 && parse(windowed).layer_window(0) == 0 && parse(windowed).layer_window(1) == 16));
  CHECK(parse(changed("qwen2-bias", R"({"use_sliding_window": true, "sliding_window": 16})")).window ==
        0);  // from layer 28 of 2
  const Json typed = changed("qwen3-qknorm", R"({"use_sliding_window": true, "sliding_window": 16,
                                                 "layer_types": ["full_attention", "sliding_attention"]})");
  CHECK((parse(typed).layer_window(0) == 0 && parse(typed).layer_window(1) == 16));
  CHECK(parse(changed("gemma", R"({"hidden_activation": null, "hidden_act": "gelu"})")).activation ==
        Activation::gelu_tanh);
  CHECK(parse(changed("llama-mha", R"({"eos_token_id": [5, 7]})")).eos == std::vector<std::int32_t>{5, 7});
}

TEST_CASE("keys that say nothing about the result, and keys that are off, are let pass") {
  const Json json = changed("llama-mha", R"({
      "_name_or_path": "x", "is_llama_config": true, "rope_interleaved": false, "transformers.js_config": {"dtype": "q4"},
      "pretraining_tp": 2, "quantization_config": null, "anything": null, "attention_dropout": 0, "use_mrope": false,
      "pruned_heads": {}, "id2label": {"0": "A"}, "unsloth_fixed": true, "partial_rotary_factor": null})");
  CHECK(failure(json).id() == "none");
}

TEST_CASE("a key that would change the result is an error that names it, its value and what was expected") {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {R"({"attention_dropout": 0.1})", "attention_dropout"},
      {R"({"quantization_config": {"bits": 4}})", "quantization_config"},
      {R"({"sliding_window": 4096})", "sliding_window"},
      {R"({"num_local_experts": 8})", "num_local_experts"},
      {R"({"attn_logit_softcapping": 50.0})", "attn_logit_softcapping"},
      {R"({"auto_map": {"AutoModelForCausalLM": "x.y"}})", "auto_map"},
      {R"({"rope_scaling": {"type": "dynamic", "factor": 2.0}})", "rope_scaling.rope_type"},
      {R"({"rope_scaling": {"rope_type": "yarn", "factor": 2.0, "beta_fast": 32}})", "rope_scaling.rope_type"},
      {R"({"rope_scaling": {"rope_type": "linear", "factor": 2.0, "short_factor": [1]}})", "rope_scaling.short_factor"},
      {R"({"rope_scaling": [1]})", "rope_scaling"},
      {R"({"rope_parameters": {"rope_type": "default", "partial_rotary_factor": 0.5}})",
       "rope_parameters.partial_rotary_factor"},
      {R"({"rope_parameters": {"rope_type": "default", "rope_theta": 7.0}})", "rope_parameters.rope_theta"},
      {R"({"rope_parameters": {"full_attention": {"rope_type": "default"}}})", "rope_parameters.full_attention"},
      {R"({"rope_scaling": {"type": "linear", "factor": 2.0}, "rope_parameters": {"rope_type": "default"}})",
       "rope_scaling"},
      {R"({"hidden_act": "relu"})", "hidden_act"},
      {R"({"hidden_act": "gelu"})", "hidden_act"},
      {R"({"layer_types": ["full_attention", "sliding_attention"]})", "layer_types"},
      {R"({"layer_types": ["full_attention"]})", "layer_types"},
  };
  for (const auto& [patch, key] : cases) {
    const Error error = failure(changed("llama-mha", patch));
    INFO(patch << " -> " << error.what());
    CHECK(error.id() == "model.502");
    CHECK_THAT(error.what(), contains("\"" + key + "\"") && contains("expected") && contains("config.json"));
  }
  CHECK(failure(changed("qwen2-bias", R"({"use_sliding_window": true, "sliding_window": 16,
                                          "layer_types": ["sliding_attention", "full_attention"]})"))
            .id() == "model.502");
  CHECK(failure(changed("mistral-window", R"({"layer_types": ["full_attention", "full_attention"]})")).id() ==
        "model.502");
  CHECK(failure(changed("gemma", R"({"hidden_activation": "tanh"})")).id() == "model.502");
}

TEST_CASE("a key that nobody knows is an error that names it") {
  const Error error = failure(changed("llama-mha", R"({"partial_rotary_factor": 0.5})"));
  CHECK(error.id() == "model.503");
  CHECK_THAT(error.what(), contains("\"partial_rotary_factor\" (0.5)") && contains("llama") && contains("config.json"));
  CHECK(failure(changed("mistral-window", R"({"use_sliding_window_from": 3})")).id() == "model.503");
}

TEST_CASE("families that differ in what they compute are refused by their model_type") {
  const Error error = failure(golden_config("gemma2/config.json"));
  CHECK(error.id() == "model.501");
  CHECK_THAT(error.what(),
             contains("\"model_type\" is \"gemma2\"") && contains("llama, mistral, qwen2, qwen3 or gemma"));
  CHECK(failure(Json::array()).id() == "model.501");
  CHECK(failure(Json::object()).id() == "io.212");
}

TEST_CASE("keys that are missing, of the wrong kind or of absurd size are one error each") {
  for (const char* key :
       {"vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads"}) {
    Json json = golden_config("llama-mha/config.json");
    json.erase(key);
    CHECK_THAT(failure(json).what(), contains("io.212") && contains("\"" + std::string(key) + "\" is missing"));
    json[key] = "48";
    CHECK(failure(json).id() == "io.212");
    json[key] = 1e15;
    CHECK(failure(json).id() == "io.212");
    json[key] = 1000000000000000;
    CHECK((failure(json).id() == "model.504"));
  }
  Json mistral = golden_config("mistral-window/config.json");
  mistral.erase("num_key_value_heads");
  CHECK(failure(mistral).id() == "io.212");
  Json odd = golden_config("llama-mha/config.json");
  odd.erase("head_dim");
  odd["num_attention_heads"] = 5;
  CHECK_THAT(failure(odd).what(), contains("model.504") && contains("(48)") && contains("(5)"));
  CHECK(failure(changed("llama-mha", R"({"eos_token_id": "</s>"})")).id() == "io.212");
}

TEST_CASE("token ids are a number, a list or nothing") {
  const Json json = io::parse_json(R"({"one": 3, "many": [1, 2], "none": null})", "x");
  CHECK(models::read_token_ids(json, "one", "x") == std::vector<std::int32_t>{3});
  CHECK(models::read_token_ids(json, "many", "x") == std::vector<std::int32_t>{1, 2});
  CHECK(models::read_token_ids(json, "none", "x").empty());
  CHECK(models::read_token_ids(json, "absent", "x").empty());
}
