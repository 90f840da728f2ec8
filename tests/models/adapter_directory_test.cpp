// SPDX-License-Identifier: Apache-2.0
#include <graft/models/adapter_directory.hpp>

#include <sys/stat.h>

#include <graft/adapters/lora.hpp>
#include <graft/adapters/pmss.hpp>
#include <graft/adapters/subspace.hpp>
#include <graft/interchange/open_adapter.hpp>
#include <graft/models/open_checkpoint.hpp>

#include "support/catch.hpp"
#include "support/golden_adapter.hpp"
#include "support/tensors.hpp"

using namespace graft;

namespace {

using FloatModel = models::Llama<Uniform<float>, backends::Reference>;
using Mixture = Stack<At<site::linear, adapters::Lora<>>, At<site::linear, adapters::Pmss<>>,
                      At<site::stream, adapters::LoReft<>>, At<site::norms, adapters::Full>>;

struct Base {
  models::Checkpoint checkpoint = models::open_checkpoint(test::golden("models/llama-gqa"));
  models::Fingerprint fingerprint = models::fingerprint_of(checkpoint);
  FloatModel model = FloatModel::load(checkpoint);

  [[nodiscard]] auto load(const std::string& folder) {
    return models::load_adapter<Mixture>(test::reference, model, fingerprint, interchange::open_adapter(folder, 3));
  }
};

/// Every kind of adapter, of placement and of exception, with random numbers everywhere but in the bases.
auto mixture(Base& base, std::uint64_t seed) {
  Mixture stack;
  auto& [lora, pmss, reft, norms] = stack.parts;
  lora.adapter = {.rank = 3, .alpha = 5, .dropout = 0.1};
  lora.placement = {.layers = only_layers({0, 2}), .sites = site::query | site::up};
  lora.placement.modules = {"model.layers.0.self_attn.q_proj", "model.layers.2.mlp.up_proj"};
  pmss.adapter = {.columns = 4, .rows = 6};
  pmss.placement.sites = site::value;
  reft.adapter = {.rank = 2};
  reft.placement = {.layers = only_layers({1}), .positions = ends(2, 3), .tied = false, .sites = site::residual};
  norms.placement = {.layers = only_layers({2}), .sites = site::attention_norm};
  auto attached =
      attach(test::reference, base.model, stack, seed, [](const auto& b, auto& model, auto& grafted, Random random) {
        if constexpr (requires { grafted.recipe.alpha; }) {
          if (grafted.place.name == "model.layers.2.mlp.up_proj") {
            grafted.recipe.rank = 5;
          }
        }
        FreshModules{}(b, model, grafted, random);
      });
  attached.for_each_parameter([&](const std::string& name, Parameter<float>& parameter) {
    if (!name.ends_with(".R")) {
      test::fill_normal(parameter.value, seed++);
    }
  });
  return attached;
}

/// The error of opening a folder whose configuration was changed.
Error changed_folder_error(const io::Json& config, const std::string& tensors) {
  const test::TempFolder folder;
  (void)folder.write("adapter_config.json", config.dump());
  (void)folder.write("adapter_model.safetensors", tensors);
  return test::error_of([&] { (void)interchange::open_adapter(folder.path()); });
}

}  // namespace

TEST_CASE("a stack comes back from its folder bit for bit: numbers, skeletons, recipes, places, positions") {
  Base first, second;
  auto saved = mixture(first, 11);
  const test::TempFolder folder;
  models::save_adapter(folder.path("a"), saved, first.fingerprint, "tiny-llama-gqa");
  auto loaded = second.load(folder.path("a"));
  std::vector<Tensor<float>> values;
  std::vector<std::string> names;
  saved.for_each_parameter([&](const std::string& name, Parameter<float>& parameter) {
    names.push_back(name);
    values.emplace_back(parameter.value.rows, parameter.value.cols);
    test::reference.copy(parameter.value, values.back().view());
  });
  std::size_t i = 0;
  loaded.for_each_parameter([&](const std::string& name, Parameter<float>& parameter) {
    INFO(name);
    REQUIRE(i < names.size());
    CHECK(name == names[i]);
    CHECK(test::identical(parameter.value, values[i++].view()));
  });
  CHECK(i == names.size());
  CHECK(std::get<1>(loaded.parts).modules[1].module.skeleton().rows ==
        std::get<1>(saved.parts).modules[1].module.skeleton().rows);
  const auto& reft = std::get<2>(loaded.parts);
  CHECK(reft.placement.positions == ends(2, 3));
  CHECK_FALSE(reft.placement.tied);
  CHECK(reft.modules[1].part == Part::suffix);
  const auto& lora = std::get<0>(loaded.parts);
  CHECK(lora.adapter.dropout == 0.1);
  REQUIRE(lora.modules.size() == 2);
  CHECK(lora.modules[0].recipe.rank == 3);
  CHECK(lora.modules[1].recipe.rank == 5);
  models::save_adapter(folder.path("b"), loaded, second.fingerprint, "tiny-llama-gqa");
  for (const char* name : {"/adapter_config.json", "/adapter_model.safetensors"}) {
    CHECK(test::slurp(folder.path("a") + name) == test::slurp(folder.path("b") + name));
  }
}

TEST_CASE("a loaded basis is the start of more training: a step leaves it orthonormal") {
  Base base;
  auto saved = mixture(base, 12);
  const test::TempFolder folder;
  models::save_adapter(folder.path("a"), saved, base.fingerprint, "");
  auto loaded = base.load(folder.path("a"));
  auto& module = std::get<2>(loaded.parts).modules[0].module;
  module.for_each_parameter([](std::string_view name, Parameter<float>& parameter) {
    if (name == "R") {
      CHECK_FALSE(parameter.decays);
      parameter.value(0, 0) += 0.1f;
    }
  });
  loaded.after_step(test::reference);
  double off = 0;
  for (Index i = 0; i < 2; ++i) {
    for (Index k = 0; k < 2; ++k) {
      double sum = i == k ? -1 : 0;
      for (Index j = 0; j < 48; ++j) {
        sum += static_cast<double>(module.basis()(i, j)) * static_cast<double>(module.basis()(k, j));
      }
      off = std::max(off, std::abs(sum));
    }
  }
  CHECK(off < 1e-5);
}

TEST_CASE("the peft_type is none of PEFT's, and says whether there is one adapter or a stack") {
  Base base;
  const test::TempFolder folder;
  auto saved = mixture(base, 13);
  models::save_adapter(folder.path("stack"), saved, base.fingerprint, "");
  CHECK(test::adapter_config(folder.path("stack"))["peft_type"] == "GRAFT_STACK");
  auto lora = attach(test::reference, base.model, Stack{At<site::query, adapters::Lora<>>{}}, 1);
  models::save_adapter(folder.path("lora"), lora, base.fingerprint, "");
  CHECK(test::adapter_config(folder.path("lora"))["peft_type"] == "GRAFT_LORA");
}

TEST_CASE("a configuration that was edited badly, or meets other tensors, is one error") {
  Base base;
  const test::TempFolder folder;
  auto saved = mixture(base, 14);
  models::save_adapter(folder.path("a"), saved, base.fingerprint, "");
  const io::Json config = test::adapter_config(folder.path("a"));
  const std::string tensors = test::slurp(folder.path("a") + "/adapter_model.safetensors");
  CHECK(changed_folder_error(config, tensors).id() == "none");
  const auto with = [&](const char* pointer, const io::Json& value) {
    io::Json other = config;
    other[io::Json::json_pointer(pointer)] = value;
    return changed_folder_error(other, tensors);
  };
  CHECK(with("/format_version", 2).id() == "adapter.658");
  const Error unknown = with("/part", 1);
  CHECK(unknown.id() == "adapter.653");
  CHECK(std::string(unknown.what()).find("\"parts\"") != std::string::npos);
  CHECK(with("/parts/0/sites", {"self_attn.x_proj"}).id() == "adapter.653");
  CHECK(with("/parts/0/layers", "some").id() == "io.212");
  CHECK(with("/parts/0/tied", 1).id() == "io.212");
  CHECK(with("/parts/2/positions", {{"first", 1}, {"middle", 2}}).id() == "adapter.653");
  CHECK(with("/parts/0", 3).id() == "adapter.653");
  CHECK(with("/contents", "0000000000000000").id() == "adapter.659");
  std::string damaged = tensors;
  damaged.back() = static_cast<char>(damaged.back() ^ 1);
  CHECK(changed_folder_error(config, damaged).id() == "adapter.659");
  CHECK(changed_folder_error(config, tensors.substr(0, tensors.size() - 4)).id() == "io.223");
}

TEST_CASE("saving NaN, or where no folder can be, writes nothing; a folder that is there keeps its other files") {
  Base base;
  const test::TempFolder folder;
  auto saved = mixture(base, 15);
  CHECK(test::error_of([&] { models::save_adapter(folder.path("no/a"), saved, base.fingerprint, ""); }).id() ==
        "io.202");
  const std::string in_the_way = folder.write("file", "text");
  CHECK(test::error_of([&] { models::save_adapter(in_the_way, saved, base.fingerprint, ""); }).id() == "io.202");
  const std::string run = folder.path("run");
  REQUIRE(::mkdir(run.c_str(), 0777) == 0);
  (void)folder.write("run/log.jsonl", "{}");
  models::save_adapter(run, saved, base.fingerprint, "");
  const std::string before = test::slurp(run + "/adapter_model.safetensors");
  CHECK(test::slurp(run + "/log.jsonl") == "{}");
  std::get<0>(saved.parts).modules[0].module.for_each_parameter([](const char*, Parameter<float>& parameter) {
    parameter.value(0, 0) = std::nanf("");
  });
  CHECK(test::error_of([&] { models::save_adapter(run, saved, base.fingerprint, ""); }).id() == "model.513");
  CHECK(test::error_of([&] { models::save_adapter(folder.path("new"), saved, base.fingerprint, ""); }).id() ==
        "model.513");
  CHECK(test::slurp(run + "/adapter_model.safetensors") == before);
  CHECK(folder.entries() == 2);  // the file and the folder that this test made
}
