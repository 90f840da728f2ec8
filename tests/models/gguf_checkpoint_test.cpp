// SPDX-License-Identifier: Apache-2.0
#include <graft/models/gguf_checkpoint.hpp>

#include <chrono>
#include <string>
#include <vector>

#include <graft/models/huggingface.hpp>

#include "support/catch.hpp"
#include "support/files.hpp"
#include "support/model_draft.hpp"
#include "support/paths.hpp"
#include "support/sha256.hpp"

using namespace graft;
using models::Checkpoint;
using models::RopeScaling;
using test::contains;
using test::error_of;
using test::GgufBuilder;
using test::ModelDraft;

namespace {

Error open_error(const GgufBuilder& builder) {
  const test::TempFolder folder;
  const std::string path = folder.write("a.gguf", builder.bytes());
  return error_of([&] { (void)models::open_gguf(path); });
}

/// Every tensor of both, decoded, is the same number by number.
void check_same(const Checkpoint& a, const Checkpoint& b) {
  REQUIRE(a.tensors.size() == b.tensors.size());
  for (const io::TensorRef& tensor : a.tensors) {
    INFO(tensor.name);
    const auto left = models::load_tensor<float>(a, tensor.name, tensor.rows(), tensor.cols());
    const auto right = models::load_tensor<float>(b, tensor.name, tensor.rows(), tensor.cols());
    CHECK(std::equal(left.data(), left.data() + left.size(), right.data()));
  }
}

std::string digest(const Checkpoint& checkpoint, const std::string& name) {
  const io::TensorRef& tensor = checkpoint.tensor(name);
  const auto values = models::load_tensor<float>(checkpoint, name, tensor.rows(), tensor.cols());
  return test::sha256(std::as_bytes(std::span(values.data(), static_cast<std::size_t>(values.size()))));
}

}  // namespace

TEST_CASE("a model that went through GGUF is the Hugging Face model again, rows of q and k included") {
  for (const auto& [name, architecture] : std::vector<std::pair<std::string, std::string>>{
           {"llama-mha", "llama"}, {"llama-gqa", "llama"}, {"llama-headdim", "llama"}, {"qwen2-bias", "qwen2"}}) {
    INFO(name);
    const test::TempFolder folder;
    const std::string path = folder.write("a.gguf", ModelDraft(name).gguf(architecture).bytes());
    const Checkpoint gguf = models::open_gguf(path);
    const Checkpoint hf = models::open_huggingface(test::golden("models/" + name));
    check_same(gguf, hf);
    CHECK((gguf.config.dim == hf.config.dim && gguf.config.heads == hf.config.heads &&
           gguf.config.kv_heads == hf.config.kv_heads));
    CHECK((gguf.config.head_dim == hf.config.head_dim && gguf.config.ffn == hf.config.ffn &&
           gguf.config.vocab == hf.config.vocab));
    CHECK((gguf.config.tied_head == hf.config.tied_head && gguf.config.qkv_bias == hf.config.qkv_bias));
    CHECK((gguf.config.rope_theta == hf.config.rope_theta && gguf.config.context == hf.config.context));
    CHECK(static_cast<float>(gguf.config.norm_eps) == static_cast<float>(hf.config.norm_eps));
  }
}

TEST_CASE("Qwen3's norms of q and k and biases of every kind keep their names") {
  const test::TempFolder folder;
  ModelDraft qwen3("qwen3-qknorm");
  check_same(models::open_gguf(folder.write("a.gguf", qwen3.gguf("qwen3").bytes())),
             models::open_huggingface(test::golden("models/qwen3-qknorm")));
  ModelDraft biased("llama-mha");
  biased.config["attention_bias"] = biased.config["mlp_bias"] = true;
  for (const std::string layer : {"model.layers.0.", "model.layers.1."}) {
    for (const std::string part :
         {"self_attn.q", "self_attn.k", "self_attn.v", "self_attn.o", "mlp.gate", "mlp.up", "mlp.down"}) {
      std::string bytes;
      const Index size = biased.at(layer + part + "_proj.weight").shape[0];
      for (Index i = 0; i < size; ++i) {
        bytes += test::raw(static_cast<float>(i));
      }
      biased.tensors.push_back({layer + part + "_proj.bias", io::Dtype::f32, {size}, bytes});
    }
  }
  biased.write_folder(folder);
  check_same(models::open_gguf(folder.write("b.gguf", biased.gguf("llama").bytes())),
             models::open_huggingface(folder.path()));
}

TEST_CASE("RoPE scaling comes from the metadata or from the tensor of factors") {
  const test::TempFolder folder;
  GgufBuilder linear = ModelDraft("llama-mha").gguf("llama");
  linear.add("llama.rope.scaling.type", std::string("linear")).add("llama.rope.scaling.factor", 2.5f);
  const auto scaled = models::open_gguf(folder.write("a.gguf", linear.bytes())).config.rope_scaling;
  CHECK((scaled.kind == RopeScaling::Kind::linear && scaled.factor == 2.5));
  GgufBuilder factors = ModelDraft("llama-mha").gguf("llama");
  std::string bytes;
  for (const float factor : {1.0f, 1.0f, 2.0f, 4.0f, 8.0f, 8.0f}) {
    bytes += test::raw(factor);
  }
  factors.tensor("rope_freqs.weight", {6}, 0, bytes);
  const auto config = models::open_gguf(folder.write("b.gguf", factors.bytes())).config;
  CHECK(config.rope_scaling.factors == std::vector<float>{1, 1, 2, 4, 8, 8});
  CHECK(models::rope_frequencies(config)[5] == Approx(std::pow(10000.0, -10.0 / 12) / 8).epsilon(1e-15));
  GgufBuilder few = ModelDraft("llama-mha").gguf("llama");
  few.tensor("rope_freqs.weight", {2}, 0, bytes.substr(0, 8));
  CHECK_THAT(open_error(few).what(), contains("model.504") && contains("2 RoPE factors, expected 6"));
  linear.tensor("rope_freqs.weight", {6}, 0, bytes);
  CHECK_THAT(open_error(linear).what(), contains("model.502") && contains("rope_freqs.weight"));
}

TEST_CASE("the tokenizer of the file brings its end tokens along") {
  const test::TempFolder folder;
  GgufBuilder builder = ModelDraft("llama-mha").gguf("llama");
  builder.add("tokenizer.ggml.model", std::string("gpt2"))
      .add("tokenizer.ggml.tokens", std::vector<std::string>{"a", "b", "c"});
  builder.add("tokenizer.ggml.eos_token_id", 2u)
      .add("tokenizer.ggml.eot_token_id", 1u)
      .add("tokenizer.ggml.bos_token_id", 0u);
  const Checkpoint checkpoint = models::open_gguf(folder.write("a.gguf", builder.bytes()));
  REQUIRE(checkpoint.tokenizer);
  CHECK(checkpoint.tokenizer->tokens[2] == "c");
  CHECK(checkpoint.config.eos == std::vector<std::int32_t>{2, 1});
  CHECK(checkpoint.config.bos == 0);
}

TEST_CASE("metadata that would change the result is refused by its key") {
  const ModelDraft draft("llama-mha");
  CHECK_THAT(open_error(draft.gguf("gemma2")).what(),
             contains("model.501") && contains("\"gemma2\"") && contains("a.gguf"));
  const auto with = [&](const std::string& key, auto value) {
    return open_error(draft.gguf("llama").add("llama." + key, value));
  };
  CHECK_THAT(with("expert_count", 8u).what(), contains("model.503") && contains("llama.expert_count"));
  CHECK(with("expert_count", 0u).id() == "none");
  CHECK(with("attention.sliding_window", 4096u).id() == "model.503");
  CHECK(with("attn_logit_softcapping", 50.0f).id() == "model.503");
  CHECK_THAT(with("rope.scaling.type", std::string("yarn")).what(), contains("model.502") && contains("\"yarn\""));
  ModelDraft partial("llama-mha");
  partial.config.erase("head_dim");
  CHECK_THAT(open_error(partial.gguf("llama").add("llama.rope.dimension_count", 6u)).what(),
             contains("model.502") && contains("rope.dimension_count") && contains("is 6") && contains("12"));
  CHECK_THAT(open_error(partial.gguf("llama").add("llama.attention.value_length", 6u)).what(), contains("model.502"));
  CHECK_THAT(open_error(GgufBuilder().add("general.architecture", std::string("llama"))).what(),
             contains("io.235") && contains("llama.embedding_length"));
}

TEST_CASE("tensors of a GGUF file are held against the configuration as well") {
  ModelDraft draft("llama-mha");
  CHECK_THAT(open_error(draft.gguf("llama").tensor("blk.0.attn_rot_embd.weight", {1}, 0, test::raw(1.0f))).what(),
             contains("model.511") && contains("blk.0.attn_rot_embd.weight"));
  draft.at("model.layers.1.mlp.down_proj.weight").shape = {96, 48};
  CHECK_THAT(open_error(draft.gguf("llama")).what(), contains("model.512") && contains("transposed"));
  draft.tensors.erase(draft.find("model.embed_tokens.weight"));
  CHECK_THAT(open_error(draft.gguf("llama")).what(), contains("model.510") && contains("token_embd.weight"));
}

TEST_CASE("the digest of the tests is the published one of FIPS 180-4") {
  const std::string text = "abc";
  CHECK(test::sha256(std::as_bytes(std::span(text))) ==
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(test::sha256({}) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

TEST_CASE("SmolLM2's tensors decode to the golden digests, in Hugging Face's orientation", "[real][shared]") {
  const Checkpoint checkpoint = models::open_gguf(test::smollm2());
  const io::Json golden = io::parse_json(test::slurp(test::shared("golden/smollm2/dequant.json")), "dequant.json");
  CHECK(models::parameter_count(checkpoint.config) == golden.at("parameters").get<Index>());
  REQUIRE(golden.at("tensors").size() == 9);
  for (const auto& tensor : golden.at("tensors")) {
    const auto name = tensor.at("name").get<std::string>();
    INFO(name);
    const Index columns = tensor.at("shape").back().get<Index>();
    CHECK(checkpoint.tensor(name).cols() == columns);
    CHECK(digest(checkpoint, name) == tensor.at("sha256").get<std::string>());
  }
}

TEST_CASE("SmolLM2's configuration is the one of its README", "[real]") {
  const models::LlamaConfig config = models::open_gguf(test::smollm2()).config;
  CHECK(
      (config.dim == 576 && config.layers == 30 && config.heads == 9 && config.kv_heads == 3 && config.head_dim == 64));
  CHECK((config.ffn == 1536 && config.vocab == 49152 && config.context == 8192 && config.rope_theta == 1e5));
  CHECK((config.tied_head && !config.qkv_bias && config.eos == std::vector<std::int32_t>{2}));
  CHECK(config.norm_eps == Approx(1e-5).epsilon(1e-6));
}
