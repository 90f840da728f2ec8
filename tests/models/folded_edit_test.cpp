// SPDX-License-Identifier: Apache-2.0
#include <graft/models/folded_edit.hpp>

#include <graft/adapters/bias.hpp>
#include <graft/adapters/bottleneck.hpp>
#include <graft/adapters/inserted.hpp>
#include <graft/adapters/lora.hpp>
#include <graft/adapters/red.hpp>
#include <graft/adapters/subspace.hpp>
#include <graft/models/merge.hpp>

#include "support/catch.hpp"
#include "support/golden_adapter.hpp"

using namespace graft;

namespace {

constexpr Sites half_blocks = site::attention | site::feed_forward;
using FoldedStack = Stack<At<site::linear, adapters::Lora<>>, At<site::linear, adapters::BitFit>,
                          At<half_blocks, adapters::LoReft<>>, At<half_blocks, adapters::BiasedNoReft<>>,
                          At<half_blocks, adapters::LobiReft<>>, At<half_blocks, adapters::Red>>;
using FoldedAttached = Attached<double, FoldedStack>;

/// The stack with each part at its sites, at every position.
FoldedStack placed(const std::array<Sites, 6>& sites, const Layers& layers = only_layers({0, 2})) {
  FoldedStack stack;
  std::get<0>(stack.parts).adapter.rank = 2;
  std::size_t next = 0;
  std::apply([&](auto&... at) { ((at.placement = {.layers = layers, .sites = sites[next++]}), ...); }, stack.parts);
  return stack;
}

FoldedAttached attached_to(test::GoldenBase& base, const std::array<Sites, 6>& sites) {
  return attach(test::reference, base.model, placed(sites), 1);
}

/// Moves every parameter away from its start.
void disturb(FoldedAttached& attached) {
  Index salt = 0;
  attached.for_each_parameter([&](const std::string&, Parameter<double>& p) {
    const Random random(77, static_cast<std::uint64_t>(++salt));
    for (Index i = 0; i < p.size(); ++i) {
      p.value.data[i] += 0.3 * (random.uniform(static_cast<std::uint64_t>(i)) - 0.5);
    }
  });
  attached.after_step(test::reference);
}

Tensor<double> folded_logits(const test::GoldenLlama& model, FoldedAttached* attached) {
  train::Batch batch = test::golden_batch(io::Safetensors::open(test::golden("models/llama-gqa/io.safetensors")));
  if (attached == nullptr) {
    std::fill(batch.ragged.adapter.begin(), batch.ragged.adapter.end(), 0);
  }
  models::LlamaRun<test::GoldenLlama, FoldedAttached> run;
  run.forward(test::reference, model, std::span(&attached, attached == nullptr ? 0 : 1), batch.ragged, batch.tokens,
              batch.ragged.tokens());
  Tensor<double> logits(batch.ragged.tokens(), model.config.vocab);
  run.logits(test::reference, model, test::every_row(batch.ragged.tokens()), logits.view());
  return logits;
}

Tensor<double> merged_logits(const std::string& folder) {
  return folded_logits(test::GoldenLlama::load(models::open_checkpoint(folder)), nullptr);
}

}  // namespace

TEST_CASE("an edit of a linear map's output folds into its weight and a bias: the golden ones") {
  for (const std::string name : {"loreft-o_proj-all", "noreft-down_proj-all"}) {
    INFO(name);
    const auto io = io::Safetensors::open(test::golden("reft/" + name + "/io.safetensors"));
    const bool attention = name == "loreft-o_proj-all";
    test::GoldenBase base("llama-gqa");
    auto attached = attached_to(base, attention ? std::array<Sites, 6>{0, 0, site::attention, 0, 0, 0}
                                                : std::array<Sites, 6>{0, 0, 0, site::feed_forward, 0, 0});
    Index compared = 0;
    attached.for_each_module([&](const auto&, const Placement& placement, auto& grafted) {
      using M = std::remove_cvref_t<decltype(grafted.module)>;
      grafted.module.for_each_parameter([&](const std::string& own, Parameter<double>& p) {
        const std::string key = attention || own.starts_with("b") ? own : own == "R" ? "W2" : "W1";
        const auto number = std::to_string(grafted.place.layer == 0 ? 0 : 1);
        test::reference.copy(test::golden_tensor(io, "I" + number + "." + key).view(), p.value);
      });
      CHECK(models::why_unfolded(grafted, placement).empty());
      if constexpr (models::folds<M, double>) {
        const Sites one = models::map_before(grafted.place.where);
        const std::string map = "merged." + module_path(grafted.place.layer, one);
        if (io.find(map + ".weight") != nullptr) {
          const auto& linear = base.model.blocks[static_cast<std::size_t>(grafted.place.layer)].linear(one);
          Tensor<double> weight(linear.outputs(), linear.inputs()), bias(1, linear.outputs());
          test::reference.copy(linear.weight.view(), weight.view());
          grafted.module.fold_weight(test::reference, weight.view());
          grafted.module.fold_bias(test::reference, bias.view());
          CHECK(test::relative_error(weight.view(), test::golden_tensor(io, map + ".weight").view()) < 1e-12);
          CHECK(test::relative_error(bias.view(), test::golden_tensor(io, map + ".bias").view()) < 1e-12);
          ++compared;
        }
      }
    });
    CHECK(compared == 1);
    const test::TempFolder folder;
    const auto report = models::write_merged<float>(folder.path("out"), base.checkpoint, test::reference, attached);
    CHECK(report.changed == 4);
    CHECK(report.added == (attention ? 4 : 3) * base.model.layer_count());
    CHECK(report.tensors == std::ssize(base.checkpoint.tensors) + report.added);
    const models::LlamaConfig config = models::open_checkpoint(folder.path("out")).config;
    CHECK(config.output_bias == attention);
    CHECK(config.qkv_bias == attention);
    CHECK(config.mlp_bias != attention);
    CHECK(test::relative_error(merged_logits(folder.path("out")).view(), test::golden_tensor(io, "logits").view()) <
          1e-6);
  }
}

TEST_CASE("edits of a stream fold into the sum of what stands at the map before it, in their order") {
  test::GoldenBase base("llama-gqa");
  auto attached = attached_to(base, {site::output | site::down, site::query | site::output, site::attention,
                                     half_blocks, site::feed_forward, half_blocks});
  disturb(attached);
  const Tensor<double> expected = folded_logits(base.model, &attached);
  CHECK(test::relative_error(folded_logits(base.model, nullptr).view(), expected.view()) > 0.1);
  const test::TempFolder folder;
  const auto report = models::write_merged<float>(folder.path("out"), base.checkpoint, test::reference, attached);
  CHECK(report.added == 7 * base.model.layer_count());
  CHECK(test::relative_error(merged_logits(folder.path("out")).view(), expected.view()) < 1e-6);
}

TEST_CASE("what no change of weights does says why, before anything is written") {
  test::GoldenBase base("llama-gqa");
  const test::TempFolder folder;
  const auto refused = [&](const auto& part, const std::string& reason) {
    INFO(reason);
    auto attached = attach(test::reference, base.model, Stack{part}, 1);
    const Error error = test::error_of(
        [&] { (void)models::write_merged<float>(folder.path("out"), base.checkpoint, test::reference, attached); });
    CHECK(error.id() == "adapter.680");
    CHECK(test::says(error, reason));
  };
  using adapters::LoReft;
  refused(At<site::residual, LoReft<>>{}, "no linear map gives alone");
  refused(At<site::attention, LoReft<>>{{}, {.positions = ends(1, 1)}}, "chosen positions");
  refused(At<site::feed_forward, adapters::ActivatedLoReft<ops::Activation::relu>>{}, "activation");
  refused(At<site::feed_forward, adapters::SeriesAdapter<>>{}, "activation");
  refused(At<site::embedded, adapters::PromptTuning>{}, "before the text");
  CHECK(folder.entries() == 0);
}

TEST_CASE("a bias needs a place in config.json: llama has two, others fewer") {
  const auto added = [](const char* type, Sites one) {
    models::LlamaConfig config;
    config.model_type = type;
    config.qkv_bias = config.model_type == "qwen2";
    return models::detail::has_bias(config, one) || models::detail::add_bias(config, one);
  };
  for (const Sites one : {site::query, site::output, site::gate, site::down}) {
    CAPTURE(one);
    const bool attention = one <= site::output;
    CHECK(added("llama", one));
    CHECK(added("qwen3", one) == attention);
    CHECK(added("gemma", one) == attention);
    CHECK(added("qwen2", one) == (one == site::query));
    CHECK_FALSE(added("mistral", one));
  }
}
