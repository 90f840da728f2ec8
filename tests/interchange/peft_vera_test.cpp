// SPDX-License-Identifier: Apache-2.0
#include <graft/interchange/peft_vera.hpp>

#include "support/catch.hpp"
#include "support/peft_folder.hpp"

using namespace graft;

TEST_CASE("a VeRA without its projections is refused with advice") {
  const Error flag = test::refused_peft("vera", {{"save_projection", false}});
  CHECK(flag.id() == "adapter.781");
  CHECK(test::says(flag, "torch's generator"));
  const Error gone = test::broken_peft("vera", [](auto& d) { d.at("base_model.vera_A").name = "base_model.vera_C"; });
  CHECK(gone.id() == "adapter.781");
  const Error half = test::broken_peft("vera", [](auto& d) { d.at("base_model.vera_B").name = "base_model.vera_C"; });
  CHECK(half.id() == "adapter.650");
  CHECK(test::says(half, "base_model.vera_B"));
}

TEST_CASE("a damaged VeRA gives one error that names the tensor") {
  const std::string q0 = "base_model.model.model.layers.0.self_attn.q_proj.";
  const Error turned = test::broken_peft(
      "vera", [](auto& d) { std::swap(d.at("base_model.vera_A").shape[0], d.at("base_model.vera_A").shape[1]); });
  CHECK(turned.id() == "adapter.722");
  const Error shape = test::broken_peft("vera", [&](auto& d) { d.at(q0 + "vera_lambda_b").shape = {6, 8}; });
  CHECK(shape.id() == "adapter.651");
  const Tensor<float> bad = test::numbers(48, 8, std::nanf(""));
  const Error nan = test::broken_peft(
      "vera", [&](auto& d) { d.at("base_model.vera_B").data = reinterpret_cast<const std::byte*>(bad.data()); });
  CHECK(nan.id() == "model.513");
  CHECK(test::refused_peft("vera", {{"r", 0}}).id() == "adapter.670");
  CHECK(test::refused_peft("vera", {{"bias", "all"}}).id() == "adapter.670");
  CHECK(test::refused_peft("vera", {{"use_dora", true}}).id() == "adapter.671");
}

TEST_CASE("projections from a file go into a folder of our own, and come back; drawn ones do not") {
  test::GoldenBase base("llama-gqa");
  auto attached = base.load<test::PeftStack>(test::golden("adapters/vera"));
  const test::TempFolder folder;
  models::save_adapter(folder.path("own"), attached, base.fingerprint, "");
  auto again = base.load<test::PeftStack>(folder.path("own"));
  interchange::write_peft(folder.path("peft"), again, base.model, "");
  test::check_same_tensors(folder.path("peft"), test::golden("adapters/vera"));
  const test::OnLinear<adapters::Vera<>> drawn{{.rank = 2, .projection_seed = 5}, {.sites = site::query | site::down}};
  auto fresh = attach(test::reference, base.model, test::peft_stack(drawn), 1);
  test::stir(fresh);
  models::save_adapter(folder.path("small"), fresh, base.fingerprint, "");
  CHECK(io::Safetensors::open(folder.path("small") + "/adapter_model.safetensors").find("vera.vera_A") == nullptr);
  interchange::write_peft(folder.path("whole"), fresh, base.model, "");
  auto loaded = base.load<test::PeftStack>(folder.path("whole"));
  interchange::write_peft(folder.path("again"), loaded, base.model, "");
  test::check_same_tensors(folder.path("again"), folder.path("whole"));
  const test::OnLinear<adapters::Vera<>> seedless{{.rank = 2, .projection_seed = -1}, {.sites = site::query}};
  CHECK(test::error_of([&] { (void)attach(test::reference, base.model, test::peft_stack(seedless), 1); }).id() ==
        "adapter.782");
}
