// SPDX-License-Identifier: Apache-2.0
#include <graft/models/adapter_file.hpp>

#include <graft/adapters/lora.hpp>
#include <graft/adapters/pmss.hpp>
#include <graft/adapters/subspace.hpp>

#include "support/catch.hpp"
#include "support/files.hpp"
#include "support/paths.hpp"

using namespace graft;

namespace {

using Program = Stack<At<site::linear, adapters::Lora<>>, At<site::linear, adapters::RsLora<>>,
                      At<site::stream, adapters::NoReft<>>, At<site::stream, adapters::LoReft<>>,
                      At<site::linear, adapters::Lora<>>>;

models::AdapterPart lora_part(Sites sites, Index rank) {
  models::AdapterPart part;
  part.adapter = "lora";
  part.policies = {{"scaling", "alpha/rank"}};
  part.settings = {{"rank", rank}, {"alpha", 12.5}, {"dropout", 0.25}};
  part.placement.sites = sites;
  part.placement.layers = only_layers({1, 2});
  return part;
}

struct Nameless {
  static double scale(double alpha, Index) { return alpha; }
};

}  // namespace

TEST_CASE("each part of a file goes to the first free place of its adapter, and the others stay empty") {
  models::AdapterFile file;
  file.parts = {lora_part(site::query, 3), lora_part(site::up | site::down, 5)};
  const auto stack = models::stack_of<Program>(file);
  const auto& first = std::get<0>(stack.parts);
  CHECK(first.adapter.rank == 3);
  CHECK(first.adapter.alpha == 12.5);
  CHECK(first.adapter.dropout == 0.25);
  CHECK(first.placement.sites == site::query);
  CHECK(first.placement.layers.chosen == std::vector<Index>{1, 2});
  CHECK(std::get<4>(stack.parts).adapter.rank == 5);
  CHECK(std::get<1>(stack.parts).placement.sites == site::none);
  CHECK(std::get<2>(stack.parts).placement.sites == site::none);
  CHECK(std::get<3>(stack.parts).placement.sites == site::none);
}

TEST_CASE("policies decide between the variants of one adapter") {
  models::AdapterFile file;
  models::AdapterPart part;
  part.adapter = "subspace";
  part.policies = models::policies_of<adapters::LoReft<>>();
  CHECK(part.policies == io::Json{{"basis", "orthonormal"}, {"source", "affine"}, {"form", "difference"}});
  part.settings = models::settings_of(adapters::LoReft<>{.rank = 7});
  part.placement.sites = site::residual;
  file.parts = {part};
  const auto stack = models::stack_of<Program>(file);
  CHECK(std::get<2>(stack.parts).placement.sites == site::none);
  CHECK(std::get<3>(stack.parts).adapter.rank == 7);
  using Own = adapters::Lora<dynamic, adapters::policies::Gaussian, Nameless>;
  CHECK(models::policies_of<Own>() == io::Json{{"scaling", "custom"}});
  CHECK(models::policies_of<adapters::Full>().empty());
}

TEST_CASE("a part that the program has no place for is an error that describes it") {
  models::AdapterFile file;
  const auto refused = [&](const models::AdapterPart& part) {
    file.parts = {part};
    return test::error_of([&] { (void)models::stack_of<Program>(file); });
  };
  models::AdapterPart part = lora_part(site::query, 3);
  part.adapter = "vera";
  CHECK(refused(part).id() == "adapter.654");
  part = lora_part(site::query | site::residual, 3);
  CHECK(refused(part).id() == "adapter.654");
  part = lora_part(site::query, 3);
  part.policies = {{"scaling", "alpha"}};
  const Error error = refused(part);
  CHECK(error.id() == "adapter.654");
  CHECK(std::string(error.what()).find("\"scaling\":\"alpha\"") != std::string::npos);
}

TEST_CASE("settings come back as they went, and one too few or too many is named") {
  adapters::Pmss<> recipe{.rank = 6, .columns = 5, .rows = 8, .alpha = 10, .clamp = true};
  adapters::Pmss<> copy;
  models::apply_settings(copy, models::settings_of(recipe), "here");
  CHECK(models::settings_of(copy) == models::settings_of(recipe));
  io::Json settings = models::settings_of(recipe);
  settings["ranks"] = 3;
  CHECK(test::error_of([&] { models::apply_settings(copy, settings, "here"); }).id() == "adapter.653");
  settings.erase("ranks");
  settings.erase("rows");
  CHECK(test::error_of([&] { models::apply_settings(copy, settings, "here"); }).id() == "io.212");
  settings["rows"] = 2.5;
  CHECK(test::error_of([&] { models::apply_settings(copy, settings, "here"); }).id() == "io.212");
}

TEST_CASE("a tensor is asked for by key and shape, and the answer names what was found instead") {
  models::AdapterFile file;
  file.tensors = io::Safetensors::open(test::golden("adapters/lora/adapter_model.safetensors"));
  const std::string key = "base_model.model.model.layers.0.self_attn.v_proj.lora_B.weight";
  CHECK(file.tensor(key, {16, 4}).name == key);
  CHECK(test::error_of([&] { (void)file.tensor(key, {16, 5}); }).id() == "adapter.651");
  const Error transposed = test::error_of([&] { (void)file.tensor(key, {4, 16}); });
  CHECK(std::string(transposed.what()).find("transposed") != std::string::npos);
  const Error missing = test::error_of([&] { (void)file.tensor(key + "s", {16, 4}); });
  CHECK(missing.id() == "adapter.650");
  CHECK(std::string(missing.what()).find("\"" + key + "\"") != std::string::npos);
}
