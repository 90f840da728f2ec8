// SPDX-License-Identifier: Apache-2.0
#include <graft/interchange/peft_lycoris.hpp>

#include "support/catch.hpp"
#include "support/peft_folder.hpp"

using namespace graft;

TEST_CASE("LoHa and LoKr with ranks and alphas of single modules come back as they were written") {
  test::GoldenBase base("llama-gqa");
  const test::TempFolder folder;
  const auto round_trip = [&](const auto& at) {
    auto attached = attach(test::reference, base.model, test::peft_stack(at), 1);
    test::stir(attached);
    interchange::write_peft(folder.path("plain"), attached, base.model, "");
    auto loaded = base.load<test::PeftStack>(folder.path("plain"));
    interchange::write_peft(folder.path("again"), loaded, base.model, "");
    test::check_same_tensors(folder.path("again"), folder.path("plain"));
    test::check_same_parts(interchange::open_adapter(folder.path("again"), 3),
                           interchange::open_adapter(folder.path("plain"), 3));
  };
  round_trip(test::OnLinear<adapters::Loha<>>{{.rank = 3, .alpha = 2.5}, {.sites = site::gate}});
  round_trip(test::OnLinear<adapters::Lokr>{{.rank = 2, .alpha = 5, .factor = 4, .decompose_both = true},
                                            {.layers = only_layers({0, 2}), .sites = site::down | site::value}});
  const auto loha =
      test::changed_peft("loha", {{"rank_pattern", {{"layers.1.*q_proj", 5}}}, {"alpha_pattern", {{"down_proj", 9}}}});
  CHECK(loha.parts[0].exceptions.at("model.layers.1.self_attn.q_proj.loha")["rank"] == 5);
  CHECK(loha.parts[0].exceptions.at("model.layers.0.mlp.down_proj.loha")["alpha"] == 9);
}

TEST_CASE("a damaged LoHa or LoKr gives one error that names the tensor") {
  const std::string q0 = "base_model.model.model.layers.0.self_attn.q_proj.";
  const Error turned = test::broken_peft(
      "loha", [&](auto& d) { std::swap(d.at(q0 + "hada_w1_a").shape[0], d.at(q0 + "hada_w1_a").shape[1]); });
  CHECK(turned.id() == "adapter.651");
  CHECK(test::says(turned, "transposed"));
  CHECK(test::broken_peft("loha", [&](auto& d) { d.at(q0 + "hada_w1_a").name = q0 + "hada_w1"; }).id() ==
        "adapter.650");
  CHECK(test::broken_peft("lokr", [](auto& d) { d.config["decompose_factor"] = 4; }).id() == "adapter.651");
  CHECK(test::broken_peft("lokr", [](auto& d) { d.config["decompose_both"] = true; }).id() == "adapter.650");
  CHECK(test::broken_peft("lokr", [&](auto& d) {
          d.tensors.push_back(d.tensors[0]);
          d.tensors.back().name = q0 + "lokr_t2";
        }).id() == "adapter.652");
  CHECK(test::broken_peft("lokr", [&](auto& d) { d.at(q0 + "lokr_w1").dtype = io::Dtype::i32; }).id() == "io.250");
  CHECK(test::refused_peft("loha", {{"use_dora", true}}).id() == "adapter.671");
  const auto dropped = test::changed_peft("loha", {{"rank_dropout", 0.5}});
  CHECK(dropped.warnings.size() == 1);
}

TEST_CASE("a LoHa or LoKr that was never trained is an error") {
  const Tensor<float> zeros(101, 101);
  const auto idle = [&](const std::string& name, const std::string& ending) {
    return test::broken_peft(name, [&](auto& d) {
      for (io::TensorRef& tensor : d.tensors) {
        if (tensor.name.ends_with(ending)) {
          tensor.data = reinterpret_cast<const std::byte*>(zeros.data());
        }
      }
    });
  };
  CHECK(idle("loha", "hada_w2_b").id() == "adapter.780");
  CHECK(idle("lokr", "lokr_w1").id() == "adapter.780");
  CHECK(idle("lokr-both", "lokr_w1_a").id() == "adapter.780");
}
