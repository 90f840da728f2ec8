// SPDX-License-Identifier: Apache-2.0
#include <graft/models/merge.hpp>

#include "support/catch.hpp"
#include "support/every_method.hpp"
#include "support/golden_adapter.hpp"
#include "support/golden_logits.hpp"

using namespace graft;

namespace {

using MergedStack = Stack<At<site::linear, adapters::Lora<>>, At<site::linear, adapters::RsLora<>>,
                          At<site::linear, adapters::Pmss<>>, At<site::everything & ~site::stream, adapters::Full>>;

/// The logits of a model alone on the golden batch.
Tensor<double> logits_of(const std::string& folder, const std::string& golden_model) {
  return test::logits_alone<Attached<double, MergedStack>>(folder, golden_model);
}

}  // namespace

TEST_CASE("a merged LoRA is a Hugging Face model with the golden logits of base and adapter together") {
  for (const std::string name : {"lora", "lora-all", "lora-rank-pattern", "lora-rs"}) {
    INFO(name);
    const std::string golden = test::golden("adapters/" + name);
    test::GoldenBase base("llama-gqa");
    auto attached = base.load<MergedStack>(golden);
    const test::TempFolder folder;
    const auto report = models::write_merged<float>(folder.path("out"), base.checkpoint, test::reference, attached);
    Index modules = 0;
    attached.for_each_module([&](const auto&, const Placement&, const auto&) { ++modules; });
    CHECK(report.changed == modules);
    CHECK(report.tensors == std::ssize(base.checkpoint.tensors));
    const auto expected = test::golden_tensor(io::Safetensors::open(golden + "/io.safetensors"), "logits");
    CHECK(test::relative_error(logits_of(folder.path("out"), "llama-gqa").view(), expected.view()) < 1e-6);
  }
}

TEST_CASE("full finetuning merges every tensor that it trained; a tied head stays tied") {
  test::GoldenBase base("gemma");
  REQUIRE(base.checkpoint.config.tied_head);
  MergedStack stack;
  std::get<0>(stack.parts).placement.sites = std::get<1>(stack.parts).placement.sites =
      std::get<2>(stack.parts).placement.sites = site::none;
  auto attached = attach(test::reference, base.model, stack, 1);
  Index parameters = 0;
  attached.for_each_parameter([&](const std::string&, Parameter<double>& p) {
    p.value(0, 0) += 0.25;
    ++parameters;
  });
  const test::TempFolder folder;
  const auto report = models::write_merged<float>(folder.path(), base.checkpoint, test::reference, attached);
  CHECK(report.changed == parameters);
  const models::Checkpoint merged = models::open_checkpoint(folder.path());
  CHECK(merged.config == base.checkpoint.config);
  CHECK_FALSE(merged.has("lm_head.weight"));
  for (const io::TensorRef& tensor : merged.tensors) {
    INFO(tensor.name);
    const auto before = models::load_tensor<float>(base.checkpoint, tensor.name, tensor.rows(), tensor.cols());
    const auto after = models::load_tensor<float>(merged, tensor.name, tensor.rows(), tensor.cols());
    CHECK(after(0, 0) == Approx(before(0, 0) + 0.25));
    CHECK(after.data()[after.size() - 1] == before.data()[before.size() - 1]);
  }
}

TEST_CASE("a trained bias merges into the map's own, or into a new one where the family has room for it") {
  const Stack stack{At<site::query | site::value, adapters::BitFit>{}};
  const auto trained = [&](test::GoldenBase& base) {
    auto attached = attach(test::reference, base.model, stack, 1);
    attached.for_each_parameter([](const std::string&, Parameter<double>& p) { test::reference.fill(0.25, p.value); });
    return attached;
  };
  const test::TempFolder folder;
  for (const std::string model : {"qwen2-bias", "llama-gqa"}) {
    INFO(model);
    test::GoldenBase base(model);
    auto attached = trained(base);
    const std::string out = folder.path(model);
    const auto report = models::write_merged<float>(out, base.checkpoint, test::reference, attached);
    CHECK(report.changed == 2 * base.model.layer_count());
    CHECK(report.added == (model == "llama-gqa" ? 4 * base.model.layer_count() : 0));
    const models::Checkpoint merged = models::open_checkpoint(out);
    const std::string name = "model.layers.0.self_attn.v_proj.bias";
    const Index outputs = merged.find(name)->cols();
    const auto before = base.checkpoint.has(name) ? models::load_tensor<float>(base.checkpoint, name, 1, outputs)
                                                  : Tensor<float>(1, outputs);
    const auto after = models::load_tensor<float>(merged, name, 1, outputs);
    for (Index j = 0; j < outputs; ++j) {
      CHECK(after(0, j) == Approx(before(0, j) + 0.25));
    }
  }

  test::GoldenBase without("mistral-window");
  auto stray = trained(without);
  const Error error = test::error_of(
      [&] { (void)models::write_merged<float>(folder.path("no"), without.checkpoint, test::reference, stray); });
  CHECK(error.id() == "adapter.702");
  CHECK(std::string(error.what()).find("models of type mistral") != std::string::npos);
  CHECK(folder.entries() == 2);
}

TEST_CASE("IA3 merges into weights and the biases behind them") {
  test::GoldenBase base("qwen2-bias");
  auto attached = attach(test::reference, base.model, Stack{At<site::key | site::down, adapters::Ia3>{}}, 1);
  attached.for_each_parameter([](const std::string&, Parameter<double>& p) { test::reference.fill(1.5, p.value); });
  const test::TempFolder folder;
  const auto report = models::write_merged<float>(folder.path("out"), base.checkpoint, test::reference, attached);
  CHECK(report.changed == 3 * base.model.layer_count());
  const models::Checkpoint merged = models::open_checkpoint(folder.path("out"));
  for (const io::TensorRef& tensor : merged.tensors) {
    INFO(tensor.name);
    const bool scaled =
        tensor.name.find("k_proj") != std::string::npos || tensor.name.find("down_proj") != std::string::npos;
    const auto before = models::load_tensor<float>(base.checkpoint, tensor.name, tensor.rows(), tensor.cols());
    const auto after = models::load_tensor<float>(merged, tensor.name, tensor.rows(), tensor.cols());
    CHECK(after(0, 0) == Approx((scaled ? 1.5f : 1.0f) * before(0, 0)));
  }
}

TEST_CASE("an edit of a map's input and one of its output are refused together") {
  test::GoldenBase base("llama-gqa");
  const Stack stack{At<site::down, adapters::Ia3>{}, At<site::linear, adapters::Dora<>>{{.rank = 2}}};
  auto attached = attach(test::reference, base.model, stack, 1);
  const test::TempFolder folder;
  const Error error = test::error_of(
      [&] { (void)models::write_merged<float>(folder.path("out"), base.checkpoint, test::reference, attached); });
  CHECK(error.id() == "adapter.703");
  CHECK(std::string(error.what()).find("mlp.down_proj.ia3") != std::string::npos);
  CHECK(folder.entries() == 0);
}

TEST_CASE("an edit of hidden states is refused with the reason, before anything is written") {
  test::GoldenBase base("llama-gqa");
  auto attached = attach(test::reference, base.model, test::only_number(test::first_reft, 2, {}), 1);
  const test::TempFolder folder;
  const Error error = test::error_of(
      [&] { (void)models::write_merged<float>(folder.path("out"), base.checkpoint, test::reference, attached); });
  CHECK(error.id() == "adapter.680");
  CHECK(std::string(error.what()).find("positions") != std::string::npos);
  CHECK(folder.entries() == 0);
}
