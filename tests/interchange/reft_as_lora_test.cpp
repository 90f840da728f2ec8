// SPDX-License-Identifier: Apache-2.0
#include <graft/interchange/reft_as_lora.hpp>

#include <graft/interchange/peft_export.hpp>
#include <graft/models/merge.hpp>

#include "support/catch.hpp"
#include "support/golden_adapter.hpp"

using namespace graft;

namespace {

using ReftAtAttention = At<site::attention, adapters::LoReft<>>;
using LoraAtQuery = At<site::query, adapters::Lora<>>;

/// The golden LoReFT on o_proj's output, at all positions of layers 0 and 2, with what else is asked for.
template <class Model, class... Others>
auto golden_reft(Model& model, const Others&... others) {
  const auto io = io::Safetensors::open(test::golden("reft/loreft-o_proj-all/io.safetensors"));
  auto attached =
      attach(test::reference, model, Stack{ReftAtAttention{{}, {.layers = only_layers({0, 2})}}, others...}, 1);
  for (auto& grafted : std::get<0>(attached.parts).modules) {
    grafted.module.for_each_parameter([&](const std::string& own, Parameter<double>& p) {
      const std::string number = grafted.place.layer == 0 ? "I0." : "I1.";
      test::reference.copy(test::golden_tensor(io, number + own).view(), p.value);
    });
  }
  return attached;
}

}  // namespace

TEST_CASE("a LoReFT on o_proj's output is the LoRA with a bias that the golden merged tensors hold") {
  const auto io = io::Safetensors::open(test::golden("reft/loreft-o_proj-all/io.safetensors"));
  test::GoldenBase base("llama-gqa");
  auto attached = golden_reft(base.model);
  const auto map = interchange::reft_as_lora(std::get<0>(attached.parts).modules[0], base.model);
  const std::string name = "model.layers.0.self_attn.o_proj";
  CHECK(map.place.name == name);
  CHECK(map.place.where == site::output);
  Tensor<double> weight(map.b.rows(), map.a.cols());
  test::reference.copy(base.model.blocks[0].linear(site::output).weight.view(), weight.view());
  test::reference.gemm_nn(1, map.b.view(), map.a.view(), 1, weight.view());
  CHECK(test::relative_error(weight.view(), test::golden_tensor(io, "merged." + name + ".weight").view()) < 1e-12);
  CHECK(test::relative_error(map.bias.view(), test::golden_tensor(io, "merged." + name + ".bias").view()) < 1e-12);
}

TEST_CASE("where the map has a bias already, the edit reads it too") {
  test::GoldenBase base("llama-gqa");
  auto attached = golden_reft(base.model);
  const test::TempFolder folder;
  (void)models::write_merged<float>(folder.path("biased"), base.checkpoint, test::reference, attached);
  auto biased = test::GoldenLlama::load(models::open_checkpoint(folder.path("biased")));
  auto again = golden_reft(biased);
  const auto& grafted = std::get<0>(again.parts).modules[1];
  const Tensor<double>& bias = biased.blocks[2].linear(site::output).bias;
  Tensor<double> expected = bias.clone();
  grafted.module.fold_bias(test::reference, expected.view());
  test::reference.add(-1, bias.view(), expected.view());
  CHECK(test::relative_error(interchange::reft_as_lora(grafted, biased).bias.view(), expected.view()) < 1e-12);
}

TEST_CASE("PEFT's folder of it says lora_bias, and gives the LoRA beside it a bias of zero") {
  test::GoldenBase base("llama-gqa");
  auto attached = golden_reft(base.model, LoraAtQuery{{.rank = 2, .alpha = 4}, {.layers = only_layers({0, 2})}});
  const test::TempFolder folder;
  interchange::write_peft_lora(folder.path("peft"), attached, base.model, "tiny");
  const io::Json config = test::adapter_config(folder.path("peft"));
  CHECK(config["lora_bias"] == true);
  CHECK(config["target_modules"] == io::Json{"o_proj", "q_proj"});
  CHECK(config["layers_to_transform"] == io::Json{0, 2});
  const auto file = io::Safetensors::open(folder.path("peft") + "/adapter_model.safetensors");
  CHECK(file.tensors().size() == 12);
  const auto map = interchange::reft_as_lora(std::get<0>(attached.parts).modules[0], base.model);
  const std::string key = "base_model.model.model.layers.0.self_attn.";
  CHECK(test::relative_error(test::golden_tensor(file, key + "o_proj.lora_A.weight").view(), map.a.view()) < 1e-6);
  CHECK(test::relative_error(test::golden_tensor(file, key + "o_proj.lora_B.weight").view(), map.b.view()) < 1e-6);
  CHECK(test::relative_error(test::golden_tensor(file, key + "o_proj.lora_B.bias").view(), map.bias.view()) < 1e-6);
  CHECK(file.at(key + "o_proj.lora_B.bias").shape == std::vector<Index>{48});
  CHECK(test::reference.squared_norm(test::golden_tensor(file, key + "q_proj.lora_B.bias").view()) == 0);
}

TEST_CASE("an edit that is no LoRA says why") {
  test::GoldenBase base("llama-gqa");
  const test::TempFolder folder;
  const auto refused = [&](const auto& part, const std::string& reason) {
    INFO(reason);
    auto attached = attach(test::reference, base.model, Stack{part}, 1);
    const Error error =
        test::error_of([&] { interchange::write_peft_lora(folder.path("peft"), attached, base.model, ""); });
    CHECK(error.id() == "adapter.673");
    CHECK(test::says(error, reason));
  };
  refused(At<site::residual, adapters::LoReft<>>{}, "no linear map gives alone");
  refused(At<site::attention, adapters::LoReft<>>{{}, {.positions = ends(2, 2)}}, "chosen positions");
  refused(At<site::attention, adapters::ActivatedLoReft<ops::Activation::relu>>{}, "no LoRA");
  CHECK(folder.entries() == 0);
}
