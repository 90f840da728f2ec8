// SPDX-License-Identifier: Apache-2.0
#include <graft/models/attach.hpp>

#include <graft/adapters/lora.hpp>
#include <graft/adapters/pmss.hpp>
#include <graft/adapters/subspace.hpp>

#include "support/catch.hpp"
#include "support/files.hpp"
#include "support/tensors.hpp"
#include "support/tiny_llama.hpp"

using namespace graft;
using test::contains;

namespace {
using TinyModel = models::Llama<Uniform<double>, backends::Reference>;
using Low = At<site::query | site::down, adapters::Lora<2>>;
using Edits = At<site::residual, adapters::LoReft<2>>;

std::vector<std::string> names(auto& attached) {
  std::vector<std::string> all;
  attached.for_each_parameter([&](const std::string& name, auto&) { all.push_back(name); });
  return all;
}
}  // namespace

TEST_CASE("modules stand at every site of every layer, in order, under the names of the checkpoint") {
  TinyModel model = test::tiny_llama<Uniform<double>, backends::Reference>(test::smallest_config(), 1);
  auto attached = attach(backends::Reference{}, model, Stack{Low{}, Edits{}}, 1);
  CHECK(names(attached) ==
        std::vector<std::string>{
            "model.layers.0.self_attn.q_proj.lora.lora_A.weight", "model.layers.0.self_attn.q_proj.lora.lora_B.weight",
            "model.layers.0.mlp.down_proj.lora.lora_A.weight", "model.layers.0.mlp.down_proj.lora.lora_B.weight",
            "model.layers.1.self_attn.q_proj.lora.lora_A.weight", "model.layers.1.self_attn.q_proj.lora.lora_B.weight",
            "model.layers.1.mlp.down_proj.lora.lora_A.weight", "model.layers.1.mlp.down_proj.lora.lora_B.weight",
            "model.layers.0.subspace.R", "model.layers.0.subspace.W", "model.layers.0.subspace.b",
            "model.layers.1.subspace.R", "model.layers.1.subspace.W", "model.layers.1.subspace.b"});
}

TEST_CASE("an untied placement has a module for the prefix and one for the suffix") {
  TinyModel model = test::tiny_llama<Uniform<double>, backends::Reference>(test::smallest_config(), 1);
  const Placement untied{.layers = only_layers({1}), .positions = ends(1, 1), .tied = false};
  auto attached = attach(backends::Reference{}, model, Stack{Edits{{}, untied}}, 1);
  CHECK(names(attached) ==
        std::vector<std::string>{"model.layers.1.prefix.subspace.R", "model.layers.1.prefix.subspace.W",
                                 "model.layers.1.prefix.subspace.b", "model.layers.1.suffix.subspace.R",
                                 "model.layers.1.suffix.subspace.W", "model.layers.1.suffix.subspace.b"});
}

TEST_CASE("a placement narrows layers, sites and modules") {
  TinyModel model = test::tiny_llama<Uniform<double>, backends::Reference>(test::smallest_config(), 1);
  const auto count = [&](const Placement& placement) {
    auto attached = attach<Stack<Low>>(backends::Reference{}, model, placement, 1);
    return names(attached).size() / 2;
  };
  CHECK(count({}) == 4);
  CHECK(count({.layers = only_layers({1})}) == 2);
  CHECK(count({.sites = site::down}) == 2);
  CHECK(count({.modules = {"model.layers.1.mlp.down_proj"}}) == 1);
}

TEST_CASE("starts are functions of the seed, and differ from part to part and from module to module") {
  TinyModel model = test::tiny_llama<Uniform<double>, backends::Reference>(test::smallest_config(), 1);
  const Stack twice{Low{}, At<site::query, adapters::Lora<3>>{}};
  const auto firsts = [&](std::uint64_t seed) {
    auto attached = attach(backends::Reference{}, model, twice, seed);
    std::vector<double> values;
    attached.for_each_parameter([&](const std::string& name, Parameter<double>& p) {
      if (name.find("lora_A") != std::string::npos) {
        values.push_back(p.value(0, 0) * std::sqrt(static_cast<double>(p.value.cols)));
      }
    });
    return values;
  };
  auto values = firsts(5);
  CHECK(values == firsts(5));
  const auto others = firsts(6);
  values.insert(values.end(), others.begin(), others.end());
  for (std::size_t i = 0; i < values.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      CHECK(values[i] != values[j]);
    }
  }
}

TEST_CASE("a layer that does not exist, and a placement that names nothing, are refused") {
  TinyModel model = test::tiny_llama<Uniform<double>, backends::Reference>(test::smallest_config(), 1);
  const auto refusal = [&](const Placement& placement) {
    return test::error_of([&] { (void)attach<Stack<Low>>(backends::Reference{}, model, placement, 1); });
  };
  CHECK(refusal({.layers = only_layers({0, 2})}).id() == "adapter.640");
  CHECK_THAT(refusal({.layers = only_layers({0, 2})}).what(),
             contains("layer 2 does not exist; the model has layers 0 to 1"));
  CHECK(refusal({.sites = site::up}).id() == "adapter.641");
}

TEST_CASE("a weight that is trained itself takes no skeletons, but it may carry LoRA") {
  TinyModel model = test::tiny_llama<Uniform<double>, backends::Reference>(test::smallest_config(), 1);
  using Everything = At<site::linear, adapters::Full>;
  const Error error = test::error_of(
      [&] { (void)attach(backends::Reference{}, model, Stack{Everything{}, At<site::down, adapters::Pmss<2>>{}}, 1); });
  CHECK(error.id() == "adapter.642");
  CHECK_THAT(error.what(), contains("model.layers.0.mlp.down_proj"));
  Everything queries;
  queries.placement.sites = site::query;
  CHECK(
      attach(backends::Reference{}, model, Stack{queries, At<site::down, adapters::Pmss<2>>{}}, 1).any(1, site::down));
  CHECK(attach(backends::Reference{}, model, Stack{Everything{}, Low{}}, 1).any(1, site::down));
}

TEST_CASE("an error in one module's making reaches the caller with the module's name") {
  TinyModel model = test::tiny_llama<Uniform<double>, backends::Reference>(test::smallest_config(), 1);
  const Stack bad{At<site::query | site::key, adapters::Lora<>>{{.rank = -1}}};
  const Error error = test::error_of([&] { (void)attach(backends::Reference{}, model, bad, 1); });
  CHECK(error.id() == "adapter.601");
  CHECK_THAT(error.what(), contains("_proj"));
}
