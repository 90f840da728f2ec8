// SPDX-License-Identifier: Apache-2.0
#include <graft/adapters/bottleneck.hpp>

#include "contracts/adapter_contract.hpp"
#include "support/catch.hpp"
#include "support/every_method.hpp"
#include "support/golden_adapter.hpp"

using namespace graft;
using ops::Activation;
using test::contains;

namespace {

using Series = adapters::SeriesAdapter<Activation::relu>;
using Parallel = adapters::ParallelAdapter<Activation::tanh>;
constexpr Sites after_half_blocks = site::attention | site::feed_forward;

/// Gives every module the golden numbers, and compares what the model then does.
template <class StackType>
void check_bottleneck_golden(const std::string& name, const StackType& stack, Index trained) {
  test::GoldenBase base("llama-gqa");
  const auto file = io::Safetensors::open(test::golden("adapters/" + name + "/adapter.safetensors"));
  auto attached = attach(test::reference, base.model, stack, 1);
  CHECK(parameter_count(attached) == trained);
  const auto key = [](const auto& grafted, const std::string& part) { return grafted.place.name + ".adapter." + part; };
  attached.for_each_module([&](const auto&, const Placement&, auto& grafted) {
    grafted.module.for_each_parameter([&](const std::string& part, Parameter<double>& p) {
      test::reference.copy(test::golden_tensor(file, key(grafted, part)).view(), p.value);
    });
  });
  const auto io = io::Safetensors::open(test::golden("adapters/" + name + "/io.safetensors"));
  const test::AdapterErrors errors = test::golden_errors(base.model, attached, io, key);
  CHECK(errors.logits < 1e-11);
  CHECK(errors.loss < 1e-12);
  CHECK(errors.gradients < 1e-10);
}

}  // namespace

TEST_CASE("bottleneck adapters keep the adapter contract, after the half blocks and beside the feed-forward") {
  const Index unit = 2 * 7 * 3 + 3 + 7;
  test::adapter_contract(
      test::only(test::AfterHalfBlocks<Series>{{.width = 3, .scale = 0.7}, {.sites = after_half_blocks}}),
      {.trained = 2 * 2 * unit});
  test::adapter_contract(test::only(test::BesideFeedForward<Parallel>{{.width = 3, .scale = 1.5}, {}}),
                         {.trained = 2 * unit});
}

TEST_CASE("a parallel bottleneck and edits of the feed-forward's output stand at one site, and the edits see the sum") {
  test::EveryMethod stack = test::only(test::BesideFeedForward<Parallel>{{.width = 2}, {}},
                                       test::OnStream<adapters::Red>{{}, {.sites = site::feed_forward}});
  test::check_gradients_by_complex_step(stack);
}

TEST_CASE("logits, loss and gradients of bottleneck adapters equal the golden ones") {
  check_bottleneck_golden("bottleneck-series",
                          test::only(test::AfterHalfBlocks<Series>{{.width = 7}, {.sites = after_half_blocks}}), 4362);
  check_bottleneck_golden("bottleneck-parallel",
                          test::only(test::BesideFeedForward<Parallel>{{.width = 7, .scale = 1.5}, {}}), 2181);
}

TEST_CASE("a stack of all that edits streams comes back from its folder in single precision") {
  using Activated = adapters::ActivatedLoReft<Activation::relu>;
  const test::EveryMethod stack = test::only(
      test::OnStream<adapters::Red>{{}, {.sites = site::residual}},
      test::OnStream<adapters::BiasedNoReft<>>{{.rank = 2}, {.positions = ends(1, 2), .sites = site::residual}},
      test::OnStream<Activated>{{.rank = 3}, {.positions = ends(2, 2), .tied = false, .sites = site::feed_forward}},
      test::AfterHalfBlocks<Series>{{.width = 3, .scale = 0.5}, {.sites = site::attention}},
      test::BesideFeedForward<Parallel>{{.width = 2}, {.layers = only_layers({1})}},
      test::Filling<adapters::PromptTuning>{{.tokens = 2}, {}},
      test::Filling<adapters::PrefixTuning>{{.tokens = 3}, {}});
  test::GoldenBase base("llama-gqa");
  auto saved = attach(test::reference, base.model, stack, 1);
  std::uint64_t seed = 5;
  std::vector<Tensor<double>> values;
  saved.for_each_parameter([&](const std::string& name, Parameter<double>& p) {
    if (!name.ends_with(".R")) {  // an orthonormal basis would be one no longer
      test::fill_normal(p.value, seed++);
    }
    values.push_back(Tensor<double>(p.value.rows, p.value.cols));
    test::reference.copy(p.value, values.back().view());
  });
  const test::TempFolder folder;
  models::save_adapter(folder.path("a"), saved, base.fingerprint, "llama-gqa");
  auto loaded = base.load<test::EveryMethod>(folder.path("a"));
  CHECK(loaded.inserted() == 5);
  std::size_t i = 0;
  loaded.for_each_parameter([&](const std::string& name, Parameter<double>& p) {
    INFO(name);
    REQUIRE(i < values.size());
    CHECK(test::relative_error(p.value, values[i++].view()) < 1e-7);  // half a unit of float in the last place
  });
  CHECK(i == values.size());
}

TEST_CASE("two bottlenecks of 256 a layer on LLaMA-7B train the paper's 134,217,728 numbers and their biases") {
  const Index unit = Series{.width = 256}.trained({0, site::attention, 4096, 4096, ""});
  CHECK(2 * 32 * unit == 134'217'728 + 2 * 32 * (256 + 4096));
}

TEST_CASE("a bottleneck without width is refused with the module's name") {
  const Error error = test::error_of([] {
    (void)Series::Module<double>({.width = 0}, test::reference, {0, site::attention, 8, 8, "model.layers.3.self_attn"},
                                 Random(1));
  });
  CHECK(error.id() == "adapter.740");
  CHECK_THAT(error.what(), contains("found 0 [model.layers.3.self_attn]"));
}
