// SPDX-License-Identifier: Apache-2.0
#include <graft/train/dpo.hpp>

#include <graft/adapters/lora.hpp>
#include <graft/adapters/subspace.hpp>
#include <graft/models/attach.hpp>
#include <graft/optimizers/sgd.hpp>
#include <graft/schedules/constant.hpp>
#include <graft/train/trainer.hpp>

#include "contracts/adapter_contract.hpp"
#include "support/catch.hpp"
#include "support/complex_step.hpp"
#include "support/files.hpp"
#include "support/tiny_llama.hpp"

using namespace graft;

namespace {

using PreferenceStack = Stack<At<site::query | site::down, adapters::Lora<2>>, At<site::residual, adapters::LoReft<2>>>;

/// Pairs of random answers, of several lengths, with references that are not what the model finds.
std::vector<train::Preference> random_pairs(const models::LlamaConfig& config) {
  std::vector<train::Preference> pairs;
  for (const auto& [prompt, chosen, rejected] : {std::array<Index, 3>{3, 4, 2}, {2, 1, 5}, {4, 3, 3}}) {
    const auto answer = [&](Index length, std::uint64_t seed) {
      train::Example example = test::tiny_example(config, {prompt + length, prompt}, seed);
      const train::Example question = test::tiny_example(config, {prompt, prompt}, 50 + pairs.size());
      std::copy(question.ids.begin(), question.ids.end(), example.ids.begin());
      for (std::size_t t = 0; t < example.ids.size(); ++t) {
        example.labels[t] = static_cast<Index>(t) < prompt ? train::ignored : example.ids[t];
      }
      return example;
    };
    const auto seed = static_cast<std::uint64_t>(10 * pairs.size());
    pairs.push_back({answer(chosen, seed), answer(rejected, seed + 1), -7 + static_cast<double>(chosen), -9});
  }
  return pairs;
}

/// Log-likelihood of every sequence, from the rows of the last loss.
template <class T, class Run>
std::vector<T> likelihoods(const Run& run, const train::Batch& batch) {
  std::vector<T> sums(static_cast<std::size_t>(batch.ragged.sequences()));
  for (Index row = 0; row < batch.labelled(); ++row) {
    Index sequence = 0;
    while (batch.rows[static_cast<std::size_t>(row)] >= batch.ragged.begin(sequence + 1)) {
      ++sequence;
    }
    sums[static_cast<std::size_t>(sequence)] -= run.row_nll()(row, 0);
  }
  return sums;
}

}  // namespace

TEST_CASE("the gradient of DPO is that of the complex step, for every parameter") {
  constexpr double beta = 0.4;
  for (const bool recompute : {false, true}) {
    test::Bench<test::Complex, backends::Reference, PreferenceStack> bench(test::smallest_config(), {}, false);
    bench.disturb(7);
    bench.recompute = recompute;
    const std::vector<train::Preference> pairs = random_pairs(bench.model.config);
    const train::PreferenceBatch batch = train::batch_at(pairs, 0, std::ssize(pairs));
    const double mean = 1.0 / static_cast<double>(batch.pairs());
    const auto f = [&] {
      bench.forward(batch, {}, false);
      (void)bench.run.loss(bench.be, bench.model, batch.rows, batch.targets);
      const auto found = likelihoods<test::Complex>(bench.run, batch);
      test::Complex total{};
      for (std::size_t i = 0; i < pairs.size(); ++i) {
        const test::Complex z =
            beta * ((found[2 * i] - pairs[i].chosen_reference) - (found[2 * i + 1] - pairs[i].rejected_reference));
        total -= std::log(1.0 / (1.0 + std::exp(-z)));
      }
      return total * mean;
    };
    bench.forward(batch, {}, true);
    train::Dpo dpo{.beta = beta};
    dpo.begin();
    const double loss = mean * dpo.loss(bench.be, bench.model, bench.run, batch, mean);
    bench.run.backward(bench.be, bench.model);
    CHECK(loss == Approx(f().real()).epsilon(1e-13));
    std::vector<Tensor<test::Complex>> claimed = bench.gradients(bench.attached);
    auto gradient = claimed.begin();
    bench.attached.for_each_parameter([&](const std::string& name, Parameter<test::Complex>& p) {
      CAPTURE(name, recompute);
      test::check_gradient(f, p.value, (gradient++)->view());
    });
  }
}

TEST_CASE("a pair is scored by equation 7, and stays finite however far the policy is off") {
  train::PreferenceScore score;
  CHECK(score.add(1.25, 0.25) == Approx(0.26894142136999512).epsilon(1e-15));  // sigmoid(-1)
  CHECK(score.loss == Approx(0.31326168751822286).epsilon(1e-15));             // log(1 + 1/e)
  CHECK(score.add(-1, 1) == Approx(0.88079707797788243).epsilon(1e-15));       // sigmoid(2)
  CHECK(score.accuracy() == 0.5);
  CHECK(score.margin() == Approx(-0.5));
  CHECK(score.mean(score.chosen) == Approx(0.125));
  train::PreferenceScore far;
  CHECK(far.add(-900, 900) == 1);
  CHECK(far.loss == 1800);
  CHECK(far.add(900, -900) == 0);
  CHECK(far.loss == 1800);
  CHECK(train::PreferenceScore{}.accuracy() == 0);
}

TEST_CASE("the reference is the model with the adapter switched off: the same rows under adapter 0") {
  test::Bench<double, backends::Reference, PreferenceStack> bench(test::small_config(), {}, false);
  bench.disturb(7);
  std::vector<train::Preference> pairs = random_pairs(bench.model.config);
  using AttachedType = decltype(bench)::AttachedType;
  train::refer<decltype(bench.model), AttachedType>(bench.be, bench.model, nullptr, pairs, 2);
  train::PreferenceBatch off;
  for (const train::Preference& pair : pairs) {
    off.push(pair, 0);
  }
  bench.forward(off, {}, false);
  (void)bench.run.loss(bench.be, bench.model, off.rows, off.targets);
  const std::vector<double> found = likelihoods<double>(bench.run, off);
  for (std::size_t i = 0; i < found.size(); ++i) {
    CHECK(off.references[i] == Approx(found[i]).epsilon(1e-14));
  }
  const auto bare = train::evaluate<decltype(bench.model), AttachedType>(
      bench.be, bench.model, nullptr, std::span<const train::Preference>(pairs), 0.1, 2);
  CHECK(bare.chosen == Approx(0).margin(1e-14));
  CHECK(bare.mean(bare.loss) == Approx(std::log(2.0)).epsilon(1e-14));
  const auto tuned =
      train::evaluate(bench.be, bench.model, &bench.attached, std::span<const train::Preference>(pairs), 0.1, 2);
  CHECK(std::abs(tuned.margin()) > 1e-3);
  train::refer(bench.be, bench.model, &bench.attached, std::span<train::Preference>(pairs), 3);  // as it stands now
  CHECK(train::evaluate(bench.be, bench.model, &bench.attached, std::span<const train::Preference>(pairs), 0.1, 2)
            .margin() == Approx(0).margin(1e-14));
}

TEST_CASE(
    "training on pairs raises the margin, and reports what it found before each update, however the step was cut") {
  using TinyModel = models::Llama<Uniform<double>, backends::Reference>;
  const backends::Reference be;
  TinyModel model = test::tiny_llama<Uniform<double>, backends::Reference>(test::small_config(), 1);
  std::vector<train::Preference> pairs = random_pairs(model.config);
  using AttachedType = Attached<double, PreferenceStack>;
  train::refer<TinyModel, AttachedType>(be, model, nullptr, pairs, 4);
  AttachedType whole = attach(be, model, PreferenceStack{}, 4), parts = attach(be, model, PreferenceStack{}, 4);
  const auto trainer_of = [&](AttachedType& some) {
    return train::Trainer(be, model, some, optimizers::Sgd{}, schedules::Constant{}, {.rate = 0.02},
                          train::Dpo{.beta = 0.5});
  };
  auto one = trainer_of(whole);
  auto two = trainer_of(parts);
  const std::vector<train::PreferenceBatch> cut = {train::batch_at(pairs, 0, 1), train::batch_at(pairs, 1, 1),
                                                   train::batch_at(pairs, 2, 1)};
  const train::PreferenceBatch together = train::batch_at(pairs, 0, 3);
  for (int step = 0; step < 12; ++step) {
    const train::StepReport a = one.step(together);
    const train::StepReport b = two.step(cut);
    CHECK(a.loss == Approx(b.loss).epsilon(1e-10));
    CHECK(a.gradient_norm == Approx(b.gradient_norm).epsilon(1e-9));
    CHECK(one.objective().score.pairs == 3);
    CHECK(two.objective().score.pairs == 3);
    CHECK(one.objective().score.mean(one.objective().score.loss) == Approx(a.loss));
    if (step == 0) {
      CHECK(a.loss == Approx(std::log(2.0)).epsilon(1e-12));
    }
  }
  const auto score = train::evaluate(be, model, &whole, std::span<const train::Preference>(pairs), 0.5, 2);
  CHECK(score.accuracy() == 1);
  CHECK(score.margin() > 1);
  CHECK(score.mean(score.loss) < 0.5);
  CHECK(one.first_non_finite(std::span(&together, 1)).empty());
}

TEST_CASE("a trained head takes its gradient before the pairs are weighed, and is refused") {
  using TinyModel = models::Llama<Uniform<double>, backends::Reference>;
  const backends::Reference be;
  for (const bool tied : {false, true}) {
    models::LlamaConfig config = test::smallest_config();
    config.tied_head = tied;
    for (const Sites one : {site::head, site::final_norm, site::embedding}) {
      if (tied && one == site::head) {
        continue;  // there is none
      }
      TinyModel model = test::tiny_llama<Uniform<double>, backends::Reference>(config, 1);
      At<site::head | site::final_norm | site::embedding, adapters::Full> full;
      full.placement.sites = one;
      auto tuned = attach(be, model, Stack{full}, 4);
      train::Trainer trainer(be, model, tuned, optimizers::Sgd{}, schedules::Constant{}, {}, train::Dpo{});
      const train::PreferenceBatch batch = train::batch_at(random_pairs(config), 0, 2);
      CAPTURE(tied, one);
      if (one == site::embedding && !tied) {
        CHECK(trainer.step(batch).gradient_norm > 0);
      } else {
        CHECK(test::error_of([&] { (void)trainer.step(batch); }).id() == "train.411");
      }
    }
  }
}
