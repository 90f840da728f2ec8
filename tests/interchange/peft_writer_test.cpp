// SPDX-License-Identifier: Apache-2.0
#include <graft/interchange/peft_writer.hpp>

#include "support/catch.hpp"
#include "support/golden_adapter.hpp"

using namespace graft;

namespace {

interchange::PeftModule peft_module(Index layer, Sites one, Index rank, double alpha) {
  return {.place = {layer, one, 4, 4, module_path(layer, one)}, .rank = rank, .alpha = alpha};
}

}  // namespace

TEST_CASE(
    "the commonest rank and alpha are the folder's, the others patterns, and targets are as short as they can be") {
  const test::TempFolder folder;
  const io::Json kind = {{"peft_type", "LOHA"}};
  interchange::PeftWriter writer(folder.path("a"), 3);
  writer.add_module(peft_module(0, site::query, 4, 6), kind);
  writer.add_module(peft_module(2, site::query, 4, 6), kind);
  writer.add_module(peft_module(0, site::up, 2, 6), kind);
  writer.add_module(peft_module(2, site::up, 4, 2.5), kind);
  writer.write("base");
  const io::Json config = test::adapter_config(folder.path("a"));
  CHECK(config["r"] == 4);
  CHECK(config["alpha"] == 6);
  CHECK(config["alpha"].is_number_integer());
  CHECK(config["rank_pattern"] == io::Json{{"model.layers.0.mlp.up_proj", 2}});
  CHECK(config["alpha_pattern"] == io::Json{{"model.layers.2.mlp.up_proj", 2.5}});
  CHECK(config["target_modules"] == io::Json{"q_proj", "up_proj"});
  CHECK(config["layers_to_transform"] == io::Json{0, 2});
  CHECK(config["base_model_name_or_path"] == "base");
}

TEST_CASE("IA3 has no list of layers: in some of them its modules are named by whole paths") {
  const test::TempFolder folder;
  const io::Json kind = {{"peft_type", "IA3"}};
  interchange::PeftWriter writer(folder.path("a"), 2);
  auto down = peft_module(1, site::down, 0, 0);
  down.scales_input = true;
  writer.add_module(peft_module(1, site::key, 0, 0), kind);
  writer.add_module(down, kind);
  writer.write("");
  const io::Json config = test::adapter_config(folder.path("a"));
  CHECK(config["target_modules"] == io::Json{"model.layers.1.mlp.down_proj", "model.layers.1.self_attn.k_proj"});
  CHECK(config["feedforward_modules"] == io::Json{"model.layers.1.mlp.down_proj"});
  CHECK_FALSE(config.contains("layers_to_transform"));
}

TEST_CASE("what modules share is one, as large as the largest needs") {
  const test::TempFolder folder;
  interchange::PeftWriter writer(folder.path("a"), 1);
  writer.add_module(peft_module(0, site::query, 0, 0), {{"peft_type", "VERA"}});
  Tensor<double> a(2, 9);
  a(1, 4) = 3;
  const auto place = peft_module(0, site::query, 0, 0).place;
  writer.share("a", std::as_const(a).view(), 2, 3, place);
  writer.share("a", std::as_const(a).view(), 2, 5, place);
  const Tensor<double> other(2, 9);
  CHECK(test::error_of([&] { writer.share("a", other.view(), 2, 3, place); }).id() == "adapter.673");
  writer.write("");
  const auto file = io::Safetensors::open(folder.path("a") + "/adapter_model.safetensors");
  CHECK(file.at("a").shape == std::vector<Index>{2, 5});
  CHECK(test::golden_tensor(file, "a")(1, 4) == 3);
}
