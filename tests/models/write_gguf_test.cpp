// SPDX-License-Identifier: Apache-2.0
#include <graft/models/write_gguf.hpp>

#include <filesystem>
#include <string>

#include "support/catch.hpp"
#include "support/golden_adapter.hpp"
#include "support/golden_logits.hpp"
#include "support/model_draft.hpp"

using namespace graft;
using io::Dtype;

namespace {

using GgufMergeStack = Stack<At<site::linear, adapters::Lora<>>, At<site::residual, adapters::LobiReft<>>>;

/// The logits of a model file on the golden batch of a model.
Tensor<double> gguf_logits(const std::string& path, const std::string& golden_model) {
  return test::logits_alone<Attached<double, GgufMergeStack>>(path, golden_model);
}

double gguf_error(const std::string& path, const std::string& golden_model) {
  const auto io = io::Safetensors::open(test::golden("models/" + golden_model + "/io.safetensors"));
  return test::relative_error(gguf_logits(path, golden_model).view(), test::golden_tensor(io, "logits").view());
}

}  // namespace

TEST_CASE("every family written as GGUF and read again has its golden logits, within the rounding of each coding") {
  const test::TempFolder folder;
  for (const std::string name :
       {"llama-mha", "llama-gqa", "llama-headdim", "llama3-rope", "qwen2-bias", "qwen3-qknorm", "gemma"}) {
    const models::Checkpoint checkpoint = models::open_checkpoint(test::golden("models/" + name));
    for (const auto& [dtype, tolerance] : {std::pair{Dtype::f32, 2e-6}, std::pair{Dtype::f16, 8e-3},
                                           std::pair{Dtype::bf16, 4e-2}, std::pair{Dtype::q8_0, 2e-2}}) {
      INFO(name << " as " << io::dtype_name(dtype));
      const std::string path = folder.path(name + std::string(io::dtype_name(dtype)) + ".gguf");
      CHECK_FALSE(models::write_gguf(path, checkpoint, dtype));
      CHECK(gguf_error(path, name) < tolerance);
      CHECK(models::open_checkpoint(path).config.tied_head == checkpoint.config.tied_head);
    }
  }
}

TEST_CASE("norms and biases stay F32, and a matrix whose rows break Q8_0's blocks is F16") {
  const test::TempFolder folder;
  const std::string path = folder.path("a.gguf");
  const auto type = [&](const std::string& name) { return io::Gguf::open(path).find(name)->dtype; };
  (void)models::write_gguf(path, models::open_checkpoint(test::golden("models/llama-mha")), Dtype::q8_0);
  CHECK(type("blk.0.ffn_down.weight") == Dtype::q8_0);  // rows of 96
  CHECK(type("blk.0.attn_q.weight") == Dtype::f16);     // of 48
  CHECK(type("blk.0.attn_norm.weight") == Dtype::f32);
  const auto file = io::Gguf::open(path);
  CHECK(file.at<std::int64_t>("general.file_type") == 7);
  CHECK(file.at<std::string_view>("tokenizer.ggml.model") == "none");
  (void)models::write_gguf(path, models::open_checkpoint(test::golden("models/qwen2-bias")), Dtype::bf16);
  CHECK(type("blk.0.attn_q.bias") == Dtype::f32);
  CHECK(type("output.weight") == Dtype::bf16);
}

TEST_CASE("a merged LoRA is a GGUF file with the golden logits of base and adapter together") {
  test::GoldenBase base("llama-gqa");
  auto attached = base.load<GgufMergeStack>(test::golden("adapters/lora-all"));
  const test::TempFolder folder;
  const auto report =
      models::write_merged_gguf(folder.path("a.gguf"), base.checkpoint, test::reference, attached, Dtype::f32);
  CHECK(report.changed == 7 * base.model.layer_count());
  CHECK(report.tensors == std::ssize(base.checkpoint.tensors));
  CHECK_FALSE(report.tokenizer);
  const auto io = io::Safetensors::open(test::golden("adapters/lora-all/io.safetensors"));
  CHECK(test::relative_error(gguf_logits(folder.path("a.gguf"), "llama-gqa").view(),
                             test::golden_tensor(io, "logits").view()) < 2e-6);
  auto edits = attach(test::reference, base.model, Stack{At<site::residual, adapters::LobiReft<>>{}}, 1);
  const auto refused = [&] {
    (void)models::write_merged_gguf(folder.path("b.gguf"), base.checkpoint, test::reference, edits, Dtype::f32);
  };
  CHECK(test::error_of(refused).id() == "adapter.680");
  CHECK(folder.entries() == 1);
}

TEST_CASE("a GGUF base keeps its own metadata, RoPE's factors and the order of its rows") {
  const test::TempFolder folder;
  test::GgufBuilder builder = test::ModelDraft("llama-mha").gguf("llama");
  builder.add("general.name", std::string("Its own name")).add("general.quantization_version", 2u);
  builder.add("tokenizer.ggml.model", std::string("gpt2")).add("tokenizer.ggml.pre", std::string("smollm"));
  builder.add("tokenizer.ggml.tokens", std::vector<std::string>(131, "t")).add("split.count", 3u);
  std::string factors;
  for (const float factor : {1.0F, 1.0F, 2.0F, 4.0F, 8.0F, 8.0F}) {
    factors += test::raw(factor);
  }
  builder.tensor("rope_freqs.weight", {6}, 0, factors);
  const std::string before = folder.write("a.gguf", builder.bytes());
  const std::string after = folder.path("b.gguf");
  CHECK(models::write_gguf(after, models::open_checkpoint(before), Dtype::f32));
  const auto file = io::Gguf::open(after);
  CHECK(file.at<std::string_view>("general.name") == "Its own name");
  CHECK(file.at<std::string_view>("tokenizer.ggml.pre") == "smollm");
  CHECK_FALSE(file.metadata().contains("split.count"));
  CHECK_FALSE(file.metadata().contains("general.quantization_version"));
  const auto source = io::Gguf::open(before);
  REQUIRE(file.tensors().size() == source.tensors().size());
  for (const io::TensorRef& tensor : source.tensors()) {
    const io::TensorRef* same = file.find(tensor.name);
    REQUIRE(same != nullptr);
    CHECK(std::equal(tensor.data, tensor.data + tensor.bytes, same->data));
  }
}

TEST_CASE("tokenizer and chat template go along, and come back with the same ids") {
  const test::TempFolder folder;
  test::ModelDraft draft("llama-gqa");
  draft.config["vocab_size"] = 512;
  test::TensorDraft& embedding = draft.at("model.embed_tokens.weight");
  embedding.shape[0] = 512;
  embedding.bytes.resize(512 * 48 * sizeof(float), '\0');
  draft.write_folder(folder);
  for (const std::string name : {"tokenizer.json", "tokenizer_config.json"}) {
    (void)folder.write(name, test::slurp(test::golden("tokenizer/sentencepiece/" + name)));
  }
  const auto checkpoint = models::open_checkpoint(folder.path());
  CHECK(models::write_gguf(folder.path("a.gguf"), checkpoint, Dtype::f16));
  const auto written = models::open_checkpoint(folder.path("a.gguf"));
  const auto before = models::load_tokenizer(checkpoint);
  const auto after = models::load_tokenizer(written);
  REQUIRE(after);
  CHECK(after->chat_template() == before->chat_template());
  CHECK(after->encode("Once upon a time,  </s> there", true) == before->encode("Once upon a time,  </s> there", true));
  CHECK(written.config.bos == 1);
  CHECK(written.config.eos == std::vector<std::int32_t>{2});
}

TEST_CASE("what llama.cpp would compute otherwise is refused; a window becomes the context in which it does nothing") {
  const test::TempFolder folder;
  const std::string path = folder.path("a.gguf");
  auto checkpoint = models::open_checkpoint(test::golden("models/llama-mha"));
  const auto error = [&](Dtype dtype = Dtype::f32) {
    return test::error_of([&] { (void)models::write_gguf(path, checkpoint, dtype); }).id();
  };
  CHECK(error(Dtype::q4_1) == "io.270");
  checkpoint.config.activation = models::Activation::gelu_tanh;
  CHECK(error() == "model.515");
  checkpoint = models::open_checkpoint(test::golden("models/qwen2-bias"));
  checkpoint.config.mlp_bias = true;
  CHECK(error() == "model.515");
  CHECK(folder.entries() == 0);
  (void)models::write_gguf(path, models::open_checkpoint(test::golden("models/mistral-window")), Dtype::f32);
  const auto config = models::open_checkpoint(path).config;
  CHECK(config.model_type == "llama");
  CHECK(config.context == 7);
}

TEST_CASE("a number that is not finite or beyond F16 stops the file") {
  const test::TempFolder folder;
  const auto checkpoint = models::open_checkpoint(test::golden("models/llama-mha"));
  const auto error = [&](float bad) {
    const auto fill = [&](const models::TensorSpec&, View<float> values) { values(0, 0) = bad; };
    return test::error_of([&] { (void)models::write_gguf(folder.path("a.gguf"), checkpoint, Dtype::f16, fill); }).id();
  };
  CHECK(error(std::numeric_limits<float>::quiet_NaN()) == "model.513");
  CHECK(error(1e6F) == "io.271");
  CHECK(folder.entries() == 0);
}
