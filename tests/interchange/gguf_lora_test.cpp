// SPDX-License-Identifier: Apache-2.0
#include <graft/interchange/gguf_lora.hpp>

#include <string>

#include <graft/adapters/pissa.hpp>

#include "support/catch.hpp"
#include "support/gguf_builder.hpp"
#include "support/golden_adapter.hpp"

using namespace graft;

namespace {

using GgufLoras = Stack<At<site::linear, adapters::Lora<>>, At<site::linear, adapters::Pmss<>>>;

Tensor<double> attached_logits(const test::GoldenBase& base, auto& attached) {
  const train::Batch batch = test::golden_batch(io::Safetensors::open(test::golden("models/llama-gqa/io.safetensors")));
  auto* member = &attached;
  models::LlamaRun<test::GoldenLlama, std::remove_reference_t<decltype(attached)>> run;
  run.forward(test::reference, base.model, std::span(&member, 1), batch.ragged, batch.tokens, 1);
  Tensor<double> logits(batch.ragged.tokens(), base.model.config.vocab);
  run.logits(test::reference, base.model, test::every_row(batch.ragged.tokens()), logits.view());
  return logits;
}

Tensor<double> file_logits(test::GoldenBase& base, const std::string& path) {
  const auto file = interchange::open_gguf_lora(path, base.model.config);
  auto attached = models::load_adapter<GgufLoras>(test::reference, base.model, base.fingerprint, file);
  return attached_logits(base, attached);
}

Tensor<double> golden_logits(const std::string& name) {
  return test::golden_tensor(io::Safetensors::open(test::golden("adapters/" + name + "/io.safetensors")), "logits");
}

/// A LoRA of rank 2 at q of one layer, as llama.cpp would have it, to be broken.
test::GgufBuilder small_lora(std::uint32_t rows = 48) {
  test::GgufBuilder builder;
  builder.add("general.type", std::string("adapter")).add("general.architecture", std::string("llama"));
  builder.add("adapter.type", std::string("lora")).add("adapter.lora.alpha", 4.0F);
  builder.tensor("blk.0.attn_q.weight.lora_a", {2, 48}, 0, std::string(2 * 48 * 4, '\0'));
  builder.tensor("blk.0.attn_q.weight.lora_b", {rows, 2}, 0, std::string(rows * 2 * 4, '\0'));
  return builder;
}

Error gguf_lora_error(const test::GgufBuilder& builder) {
  const test::TempFolder folder;
  const std::string path = folder.write("a.gguf", builder.bytes());
  const auto config = models::open_checkpoint(test::golden("models/llama-gqa")).config;
  return test::error_of([&] { (void)interchange::open_gguf_lora(path, config); });
}

}  // namespace

TEST_CASE("the file that llama.cpp's converter made of a PEFT LoRA is read with the golden logits") {
  test::GoldenBase base("llama-gqa");
  CHECK(test::relative_error(file_logits(base, test::golden("io/lora-all.gguf")).view(),
                             golden_logits("lora-all").view()) < 1e-11);
}

TEST_CASE("LoRAs come back from GGUF with their logits, and with the tensors of llama.cpp's converter") {
  test::GoldenBase base("llama-gqa");
  const test::TempFolder folder;
  const std::string path = folder.path("a.gguf");
  for (const std::string name : {"lora", "lora-all", "lora-rs", "lora-rank-pattern", "lora-layers"}) {
    INFO(name);
    auto attached = base.load<GgufLoras>(test::golden("adapters/" + name));
    interchange::write_gguf_lora(path, attached, base.model);
    CHECK(test::relative_error(file_logits(base, path).view(), golden_logits(name).view()) < 1e-7);
    const auto file = io::Gguf::open(path);
    CHECK((file.at<double>("adapter.lora.alpha") == 0) == (name == "lora-rank-pattern"));  // folded
    if (name == "lora-all") {
      const auto theirs = io::Gguf::open(test::golden("io/lora-all.gguf"));
      CHECK(theirs.at<double>("adapter.lora.alpha") == file.at<double>("adapter.lora.alpha"));
      REQUIRE(theirs.tensors().size() == file.tensors().size());
      for (const io::TensorRef& tensor : theirs.tensors()) {
        const io::TensorRef* ours = file.find(tensor.name);
        REQUIRE(ours != nullptr);
        CHECK(ours->shape == tensor.shape);
        CHECK(std::equal(tensor.data, tensor.data + tensor.bytes, ours->data));
      }
    }
  }
}

TEST_CASE("PMSS, PiSSA and a stack of different ranks are one GGUF LoRA, scales multiplied into B") {
  test::GoldenBase base("llama-gqa");
  const test::TempFolder folder;
  const std::string path = folder.path("a.gguf");
  const Stack stack{At<site::query | site::key, adapters::Pmss<>>{{.rank = 3}, {}},
                    At<site::value, adapters::Pissa<>>{{.rank = 2, .alpha = 3}, {}},
                    At<site::down, adapters::RsLora<>>{{.rank = 4, .alpha = 6}, {}}};
  auto attached = attach(test::reference, base.model, stack, 1);
  Random random(5);
  std::uint64_t count = 0;
  attached.for_each_parameter([&](const std::string&, Parameter<double>& p) {
    for (Index i = 0; i < p.size(); ++i) {
      p.value.data[i] += 0.1 * (random.uniform(count++) - 0.5);
    }
  });
  interchange::write_gguf_lora(path, attached, base.model);
  CHECK(test::relative_error(file_logits(base, path).view(), attached_logits(base, attached).view()) < 1e-6);
}

TEST_CASE("what is no LoRA, two at one place and an empty stack are refused, and nothing is written") {
  test::GoldenBase base("llama-gqa");
  const test::TempFolder folder;
  const auto error = [&](const auto& stack) {
    auto attached = attach(test::reference, base.model, stack, 1);
    return test::error_of([&] { interchange::write_gguf_lora(folder.path("a.gguf"), attached, base.model); });
  };
  CHECK(error(Stack{At<site::query, adapters::Lora<>>{}, At<site::query, adapters::Pmss<>>{{.rank = 4}, {}}}).id() ==
        "adapter.673");
  CHECK(test::says(error(Stack{At<site::residual, adapters::LobiReft<>>{}}), "model.layers.0.subspace"));
  At<site::query, adapters::Lora<>> none;
  none.placement.sites = site::none;
  CHECK(error(Stack{none}).id() == "adapter.673");
  CHECK(folder.entries() == 0);
}

TEST_CASE("broken GGUF LoRAs are refused by what is wrong with them") {
  CHECK(gguf_lora_error(small_lora()).id() == "none");
  const auto zeros = [](std::size_t count) { return std::string(4 * count, '\0'); };
  CHECK(gguf_lora_error(test::GgufBuilder()).id() == "adapter.801");
  test::GgufBuilder model;
  model.add("general.type", std::string("model"));
  CHECK(test::says(gguf_lora_error(model), "\"model\", expected \"adapter\""));
  CHECK(gguf_lora_error(small_lora().add("adapter.alora.invocation_tokens", 3U)).id() == "adapter.801");
  CHECK(gguf_lora_error(small_lora().tensor("blk.3.attn_q.weight.lora_a", {2, 48}, 0, zeros(96))).id() ==
        "adapter.802");  // the model has three layers
  CHECK(gguf_lora_error(small_lora().tensor("token_embd.weight.lora_a", {2, 48}, 0, zeros(96))).id() == "adapter.802");
  CHECK(gguf_lora_error(small_lora().tensor("blk.0.attn_q.bias", {48}, 0, zeros(48))).id() == "adapter.802");
  CHECK(gguf_lora_error(small_lora().tensor("blk.1.attn_q.weight.lora_a", {2, 48}, 0, zeros(96))).id() ==
        "adapter.803");  // without its lora_b
  CHECK(gguf_lora_error(small_lora(47)).id() == "adapter.803");
  CHECK(gguf_lora_error(small_lora()
                            .tensor("blk.1.attn_v.weight.lora_a", {2, 48}, 0, zeros(96))
                            .tensor("blk.1.attn_v.weight.lora_b", {16, 3}, 0, zeros(48)))
            .id() == "adapter.803");
  test::GoldenBase base("llama-gqa");  // heads, but not as many as the model has
  const test::TempFolder folder;
  const auto file = interchange::open_gguf_lora(folder.write("a.gguf", small_lora(24).bytes()), base.model.config);
  const auto load = [&] { (void)models::load_adapter<GgufLoras>(test::reference, base.model, base.fingerprint, file); };
  CHECK(test::error_of(load).id() == "adapter.651");
}
