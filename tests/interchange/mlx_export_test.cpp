// SPDX-License-Identifier: Apache-2.0
#include <graft/interchange/mlx_export.hpp>

#include <graft/adapters/full.hpp>

#include "support/catch.hpp"
#include "support/golden_logits.hpp"
#include "support/low_rank_stack.hpp"

using namespace graft;

namespace {

/// The numbers of a file of mlx-lm.
Tensor<double> mlx_numbers(const std::string& folder, const std::string& name) {
  return test::golden_tensor(io::Safetensors::open(folder + "/adapters.safetensors"), name);
}

/// Logits of an attached stack on a few tokens.
template <class AttachedType>
Tensor<double> few_logits(const test::GoldenLlama& model, AttachedType& attached) {
  Ragged batch;
  batch.push(6, 6);
  const std::vector<std::int32_t> tokens = {3, 14, 15, 92, 65, 35};
  auto* member = &attached;
  models::LlamaRun<test::GoldenLlama, AttachedType> run;
  run.forward(test::reference, model, std::span(&member, 1), batch, tokens, 6, {});
  Tensor<double> logits(6, model.config.vocab);
  run.logits(test::reference, model, test::every_row(6), logits.view());
  return logits;
}

}  // namespace

TEST_CASE("what mlx-lm saved is written again with the same numbers") {
  test::GoldenBase base("llama-gqa");
  for (const std::string name : {"lora", "dora", "paths"}) {
    INFO(name);
    const std::string golden = test::golden("mlx/" + name);
    auto attached = base.load<test::LowRank>(golden);
    const test::TempFolder folder;
    interchange::write_mlx(folder.path("out"), attached, base.model, "tiny-llama-gqa");
    const auto found = io::Safetensors::open(folder.path("out") + "/adapters.safetensors");
    const auto expected = io::Safetensors::open(golden + "/adapters.safetensors");
    REQUIRE(found.tensors().size() == expected.tensors().size());
    for (const io::TensorRef& tensor : expected.tensors()) {
      INFO(tensor.name);
      const io::TensorRef& other = found.at(tensor.name);
      CHECK(other.shape == tensor.shape);
      CHECK(std::equal(tensor.data, tensor.data + tensor.bytes, other.data, other.data + other.bytes));
    }
    const io::Json config = test::adapter_config(folder.path("out")), theirs = test::adapter_config(golden);
    CHECK(config["fine_tune_type"] == theirs["fine_tune_type"]);
    CHECK(config["lora_parameters"]["rank"] == theirs["lora_parameters"]["rank"]);
    CHECK(config["lora_parameters"]["scale"] == theirs["lora_parameters"]["scale"]);
    CHECK(config["model"] == "tiny-llama-gqa");
    if (name == "lora") {
      CHECK(config["num_layers"] == 2);
      CHECK(config["lora_parameters"]["keys"] == io::Json({"mlp.down_proj", "self_attn.q_proj", "self_attn.v_proj"}));
    }
    if (name == "paths") {
      CHECK(config["lora_parameters"]["keys"] ==
            io::Json({"model.layers.0.self_attn.o_proj", "model.layers.2.mlp.gate_proj"}));
    }
  }
}

TEST_CASE("PMSS, PiSSA and LoRA of other ranks and scales make one LoRA of mlx-lm with the same logits") {
  test::GoldenBase base("llama-gqa");
  using Lora = At<site::linear, adapters::Lora<>>;
  using Pmss = At<site::linear, adapters::Pmss<>>;
  using Pissa = At<site::linear, adapters::Pissa<>>;
  Placement on_query, on_down, on_value;
  on_query.sites = site::query;
  on_down.sites = site::down;
  on_value.sites = site::value;
  on_value.layers = only_layers({1, 2});
  auto attached =
      attach(test::reference, base.model,
             test::low_rank(Lora{{.rank = 4, .alpha = 10}, on_query}, Pissa{{.rank = 3, .alpha = 3}, on_value},
                            Pmss{{.columns = 5, .rows = 6}, on_down}),
             1);
  std::uint64_t seed = 1;
  attached.for_each_module([&](const auto&, const Placement&, auto& grafted) {
    grafted.module.for_each_parameter([&](const char*, Parameter<double>& parameter) {
      Tensor<double> noise = test::normal<double>(parameter.value.rows, parameter.value.cols, ++seed);
      test::reference.add(0.1, noise.view(), parameter.value);
    });
  });
  const test::TempFolder folder;
  interchange::write_mlx(folder.path("out"), attached, base.model, "");
  const io::Json parameters = test::adapter_config(folder.path("out"))["lora_parameters"];
  CHECK(parameters["rank"] == 6);
  CHECK(parameters["keys"].size() == 3 + 2 + 3);
  const auto narrow = mlx_numbers(folder.path("out"), "model.layers.0.self_attn.q_proj.lora_a");
  CHECK((narrow.cols() == 6 && narrow(0, 3) != 0 && narrow(0, 4) == 0 && narrow(47, 5) == 0));
  auto again = base.load<test::LowRank>(folder.path("out"));
  CHECK(std::get<0>(again.parts).modules.size() == 8);
  CHECK(test::relative_error(few_logits(base.model, again).view(), few_logits(base.model, attached).view()) < 1e-6);
}

TEST_CASE("what mlx-lm has no place for is refused, and nothing is written") {
  test::GoldenBase base("llama-gqa");
  const test::TempFolder folder;
  const auto refused = [&](auto stack) {
    auto attached = attach(backends::Reference{}, base.model, stack, 1);
    return test::error_of([&] { interchange::write_mlx(folder.path("out"), attached, base.model, ""); });
  };
  CHECK(refused(Stack{At<site::query, adapters::Full>{}}).id() == "adapter.673");
  CHECK(refused(Stack{At<site::query, adapters::Lora<>>{}, At<site::query, adapters::Pmss<>>{{.rank = 4}, {}}}).id() ==
        "adapter.673");
  const Error mixed = refused(Stack{At<site::query, adapters::Lora<>>{}, At<site::key, adapters::Dora<>>{}});
  CHECK(mixed.id() == "adapter.673");
  CHECK(test::says(mixed, "holds one kind of adapter"));
  CHECK(refused(test::low_rank()).id() == "adapter.673");
  CHECK(folder.entries() == 0);
}
