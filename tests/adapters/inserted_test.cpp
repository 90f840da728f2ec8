// SPDX-License-Identifier: Apache-2.0
#include <graft/adapters/inserted.hpp>

#include <graft/train/evaluate.hpp>
#include <graft/train/generate.hpp>

#include "contracts/adapter_contract.hpp"
#include "support/catch.hpp"
#include "support/every_method.hpp"
#include "support/golden_adapter.hpp"

using namespace graft;
using adapters::PrefixTuning;
using adapters::PromptTuning;
using test::contains;
using Prompts = test::Filling<PromptTuning>;
using Prefixes = test::Filling<PrefixTuning>;

namespace {

/// The golden tensor prompt_embeddings, or its gradient: whole, or the columns that a layer's keys or values have in it.
Tensor<double> embeddings_of(const io::Safetensors& file, const std::string& name, const Place& place) {
  const Tensor<double> whole = test::golden_tensor(file, name);
  const bool is_prefix = place.where != site::embedded;
  const Index first = is_prefix ? (2 * place.layer + (place.where == site::values ? 1 : 0)) * place.outputs : 0;
  Tensor<double> part(whole.rows(), place.outputs);
  test::reference.copy(whole.view().middle_cols(first, place.outputs), part.view());
  return part;
}

template <class StackType>
void check_inserted_golden(const std::string& name, const StackType& stack, Index trained) {
  test::GoldenBase base("llama-gqa");
  const auto file = io::Safetensors::open(test::golden("adapters/" + name + "/adapter_model.safetensors"));
  auto attached = attach(test::reference, base.model, stack, 1);
  CHECK(parameter_count(attached) == trained);
  attached.for_each_module([&](const auto&, const Placement&, auto& grafted) {
    grafted.module.for_each_parameter([&](const std::string&, Parameter<double>& p) {
      test::reference.copy(embeddings_of(file, "prompt_embeddings", grafted.place).view(), p.value);
    });
  });
  const auto io = io::Safetensors::open(test::golden("adapters/" + name + "/io.safetensors"));
  const test::AdapterErrors errors = test::golden_errors_of(
      base.model, attached, io,
      [&](const auto& grafted, const char*) { return embeddings_of(io, "grad.prompt_embeddings", grafted.place); });
  CHECK(errors.logits < 1e-11);
  CHECK(errors.loss < 1e-12);
  CHECK(errors.gradients < 1e-10);
}

}  // namespace

TEST_CASE("prompt and prefix tuning keep the adapter contract, alone and together") {
  test::adapter_contract(test::only(Prompts{{.tokens = 2}, {}}), {.starts_as_identity = false, .trained = 2 * 7});
  test::adapter_contract(test::only(Prefixes{{.tokens = 3}, {}}),
                         {.starts_as_identity = false, .trained = 2 * 2 * 3 * 4});
  const auto both =
      test::only(Prompts{{.tokens = 2}, {}}, Prefixes{{.tokens = 1}, {}},
                 test::OnStream<adapters::LoReft<>>{{.rank = 2}, {.positions = ends(2, 2), .sites = site::residual}});
  test::check_gradients_by_complex_step(both);
  test::check_cached_equals_uncached(both);
}

TEST_CASE("logits, loss and gradients of PEFT's prompt and prefix tuning equal the golden ones") {
  check_inserted_golden("prompt-tuning", test::only(Prompts{{.tokens = 4}, {}}), 192);
  check_inserted_golden("prefix-tuning", test::only(Prefixes{{.tokens = 3}, {}}), 288);
}

TEST_CASE("ten prefix tokens on LLaMA-7B train 2,621,440 numbers, on 13B 4,096,000") {
  const auto count = [](Index layers, Index dim) {
    models::LlamaConfig config = test::small_config();
    config.layers = layers;
    config.dim = dim;
    config.heads = config.kv_heads = dim / 128;
    config.head_dim = 128;
    return models::count_trainable(config, Stack{Prefixes{{.tokens = 10}, {}}});
  };
  CHECK(count(32, 4096) == 2'621'440);
  CHECK(count(40, 5120) == 4'096'000);
}

TEST_CASE("prompt positions are counted in the text behind the placeholders") {
  Ragged batch;
  batch.push(9, 4, 0, 1, 3);
  CHECK(edit_rows(batch, ends(1, 2), Part::both, 1, 4).in_batch == std::vector<Index>{3, 5, 6});
  CHECK(batch.first_token(0) == 3);
  Ragged later;
  later.push(1, 4, 7, 1, 3);
  CHECK(edit_rows(later, ends(1, 2), Part::both, 1, 4).in_batch.empty());
  CHECK(later.first_token(0) == 0);
}

TEST_CASE("generation and evaluation put the placeholders in by themselves") {
  test::Bench<double, backends::Reference, test::EveryMethod> bench(test::small_config(),
                                                                    test::only(Prompts{{.tokens = 2}, {}}), false);
  bench.disturb(2);
  const std::vector<std::int32_t> prompt = {3, 1, 4};
  const auto text = train::generate(bench.be, bench.model, &bench.attached, std::span(prompt), {.most = 3},
                                    [](std::int32_t) { return true; });
  REQUIRE(text.size() == 3);
  train::Example whole{{3, 1, 4, text[0], text[1], text[2]}, {3, 1, 4, text[0], text[1], text[2]}, 3};
  Index rows = 0;
  const std::span<const train::Example> examples(&whole, 1);
  const auto score = train::evaluate(bench.be, bench.model, &bench.attached, examples, 1,
                                     [&](View<const double> logits) { rows += logits.rows; });
  CHECK(rows == 6);
  CHECK(score.tokens == 5);
  train::Batch by_hand;
  by_hand.push(whole, 1, 2);
  CHECK(score.nll == Approx(bench.loss(by_hand) * 5).epsilon(1e-14));
  const auto greedy = [&](Index row) {  // the row of a token in the batch by hand, its likeliest successor
    Tensor<double> logits(1, bench.model.config.vocab);
    const Index list[] = {row};
    bench.forward(by_hand, {}, false);
    bench.run.logits(bench.be, bench.model, list, logits.view());
    return std::max_element(logits.data(), logits.data() + logits.size()) - logits.data();
  };
  for (Index step = 0; step < 3; ++step) {
    CHECK(greedy(2 + 2 + step) == text[static_cast<std::size_t>(step)]);
  }
}

TEST_CASE("inserting adapters are refused with too few tokens, places or placeholders") {
  const auto make = [] {
    (void)PromptTuning::Module<double>({.tokens = 0}, test::reference, {0, site::embedded, 8, 8, "model.embedded"},
                                       Random(1));
  };
  CHECK(test::error_of(make).id() == "adapter.741");
  CHECK_THAT(test::error_of(make).what(), contains("found 0 [model.embedded]"));

  auto model = test::tiny_llama<Uniform<double>, backends::Reference>(test::small_config(), 1);
  for (const Placement& partly : {Placement{.layers = only_layers({0, 2})}, Placement{.sites = site::keys}}) {
    const auto put = [&] { (void)attach(test::reference, model, test::only(Prefixes{{.tokens = 1}, partly}), 1); };
    CHECK(test::error_of(put).id() == "adapter.746");
  }

  test::Bench<double, backends::Reference, test::EveryMethod> bench(test::small_config(),
                                                                    test::only(Prompts{{.tokens = 2}, {}}), false);
  const train::Batch without = test::tiny_batch(bench.model.config, {{4, 2}}, 3);
  const Error error = test::error_of([&] { bench.forward(without, {}, false); });
  CHECK(error.id() == "adapter.745");
  CHECK_THAT(error.what(), contains("sequence 0 has 0 placeholders, its adapter fills 2; build the batch with"));
  train::Batch with;
  with.push(test::tiny_example(bench.model.config, {4, 2}, 3), 1, 2);
  with.ragged.start[0] = 1;  // the first of them lies in an earlier call
  CHECK(test::error_of([&] { bench.forward(with, {}, false); }).id() == "adapter.745");
  test::Bench<double, backends::Reference, test::EveryMethod> edits(
      test::small_config(), test::only(test::OnStream<adapters::Red>{{}, {.sites = site::residual}}), false);
  with.ragged.start[0] = 0;
  CHECK(test::error_of([&] { edits.forward(with, {}, false); }).id() == "adapter.745");  // nobody fills them
}
