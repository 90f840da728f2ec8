// SPDX-License-Identifier: Apache-2.0
#include <graft/interchange/peft_ia3.hpp>

#include "support/catch.hpp"
#include "support/peft_folder.hpp"

using namespace graft;

TEST_CASE("feedforward_modules decide which side an IA3 scales, by the end of a name or a regex, layer by layer too") {
  const auto sites = [](const io::Json& changes) {
    return test::changed_peft("ia3", changes).parts[0].settings["input_sites"].get<Sites>();
  };
  CHECK(sites(io::Json::object()) == site::down);
  CHECK(sites({{"feedforward_modules", io::Json::array()}}) == site::none);
  CHECK(sites({{"feedforward_modules", ".*(down|v)_proj"}}) == (site::down | site::value));
  CHECK(sites({{"feedforward_modules", {"proj"}}}) == (site::down | site::value | site::key));
  const auto mixed = test::changed_peft("ia3", {{"feedforward_modules", ".*layers\\.1\\.mlp\\.down_proj"}});
  CHECK(mixed.parts[0].settings["input_sites"].get<Sites>() == site::down);
  CHECK(mixed.parts[0].exceptions.size() == 2);
  CHECK(mixed.parts[0].exceptions.at("model.layers.0.mlp.down_proj.ia3")["input_sites"] == 0);
}

TEST_CASE("an IA3 in some layers, its sides mixed, comes back as it was written") {
  test::GoldenBase base("llama-gqa");
  const test::TempFolder folder;
  auto attached = attach(test::reference, base.model,
                         test::peft_stack(test::OnLinear<adapters::Ia3>{
                             {.input_sites = static_cast<Index>(site::down | site::output)},
                             {.layers = only_layers({1}), .sites = site::down | site::output | site::gate}}),
                         1);
  test::stir(attached);
  interchange::write_peft(folder.path("a"), attached, base.model, "");
  auto loaded = base.load<test::PeftStack>(folder.path("a"));
  interchange::write_peft(folder.path("b"), loaded, base.model, "");
  test::check_same_tensors(folder.path("b"), folder.path("a"));
  CHECK(test::adapter_config(folder.path("b")) == test::adapter_config(folder.path("a")));
}

TEST_CASE("a damaged IA3 gives one error that names the tensor") {
  const std::string k0 = "base_model.model.model.layers.0.self_attn.k_proj.ia3_l";
  const Error turned = test::broken_peft("ia3", [&](auto& d) { d.at(k0).shape = {1, 16}; });
  CHECK(turned.id() == "adapter.651");
  CHECK(test::says(turned, "transposed"));
  CHECK(test::broken_peft("ia3", [&](auto& d) { d.config["feedforward_modules"] = {"k_proj"}; }).id() == "adapter.651");
  CHECK(test::broken_peft("ia3", [&](auto& d) { d.tensors.pop_back(); }).id() == "adapter.650");
  const Tensor<float> ones = test::numbers(1, 101, 1);
  CHECK(test::broken_peft("ia3", [&](auto& d) {
          for (io::TensorRef& tensor : d.tensors) {
            tensor.data = reinterpret_cast<const std::byte*>(ones.data());
          }
        }).id() == "adapter.780");
  CHECK(test::refused_peft("ia3", {{"fan_in_fan_out", true}}).id() == "adapter.670");
}
