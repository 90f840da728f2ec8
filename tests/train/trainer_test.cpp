// SPDX-License-Identifier: Apache-2.0
#include <graft/train/trainer.hpp>

#include <graft/adapters/lora.hpp>
#include <graft/models/attach.hpp>
#include <graft/optimizers/lora_plus.hpp>
#include <graft/optimizers/sgd.hpp>
#include <graft/schedules/linear.hpp>

#include "support/catch.hpp"
#include "support/files.hpp"
#include "support/tensors.hpp"
#include "support/tiny_llama.hpp"

using namespace graft;
using test::contains;

namespace {

using Model = models::Llama<Uniform<double>, backends::Reference>;
using Recipe = Stack<At<site::linear, adapters::Lora<2>>>;
using AttachedType = Attached<double, Recipe>;
using TrainerType = train::Trainer<Model, AttachedType, optimizers::Sgd, schedules::Linear>;

/// A tiny model with LoRA whose B is not zero, under plain gradient descent.
struct Run {
  backends::Reference be;
  Model model = test::tiny_llama<Uniform<double>, backends::Reference>(test::small_config(), 1);
  AttachedType attached;
  TrainerType trainer;

  explicit Run(train::TrainerSettings settings, Recipe recipe = {}, optimizers::Sgd method = {})
      : attached(start(recipe)), trainer(be, model, attached, method, {}, settings) {}

  AttachedType start(const Recipe& recipe) {
    AttachedType made = attach(be, model, recipe, 4);
    made.for_each_parameter([](const std::string&, Parameter<double>& p) {
      p.value(0, 0) += 0.1;
      p.value(1, 1) += 0.2;
    });
    return made;
  }
  [[nodiscard]] std::vector<double> values() {
    std::vector<double> all;
    attached.for_each_parameter([&](const std::string&, Parameter<double>& p) {
      for (Index i = 0; i < p.size(); ++i) {
        all.push_back(p.value(i / p.value.cols, i % p.value.cols));
      }
    });
    return all;
  }
};

double distance(const std::vector<double>& a, const std::vector<double>& b) {
  double squares = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    squares += (a[i] - b[i]) * (a[i] - b[i]);
  }
  return std::sqrt(squares);
}

train::Batch batch_of(const std::vector<test::TinySequence>& sequences, std::uint64_t seed) {
  return test::tiny_batch(test::small_config(), sequences, seed);
}
const std::vector<train::Batch> whole = {batch_of({{5, 4}, {9, 6}, {6, 3}}, 3)};
const std::vector<train::Batch> parts = {batch_of({{5, 4}}, 3), batch_of({{9, 6}, {6, 3}}, 4)};

}  // namespace

TEST_CASE("an optimizer that asks for names is told them: LoRA+ moves B further, A as far as without it") {
  Run plain({.rate = 1e-3});
  Run plus({.rate = 1e-3});  // its own trainer stays unused
  using Plus = optimizers::LoraPlus<optimizers::Sgd>;
  train::Trainer trainer(plus.be, plus.model, plus.attached, Plus{.ratio = 4}, schedules::Linear{}, {.rate = 1e-3});
  Run start({});
  (void)plain.trainer.step(whole);
  (void)trainer.step(whole);
  std::vector<Tensor<double>> at_start, moved;
  start.attached.for_each_parameter(
      [&](const std::string&, Parameter<double>& p) { at_start.push_back(p.storage.clone()); });
  plain.attached.for_each_parameter(
      [&](const std::string&, Parameter<double>& p) { moved.push_back(p.storage.clone()); });
  std::size_t i = 0;
  plus.attached.for_each_parameter([&](const std::string& name, Parameter<double>& p) {
    CAPTURE(name);
    const double factor = name.ends_with("lora_B.weight") ? 4 : 1;
    const double expected = at_start[i](0, 0) + factor * (moved[i](0, 0) - at_start[i](0, 0));
    CHECK(moved[i](0, 0) != at_start[i](0, 0));
    CHECK(p.value(0, 0) == Approx(expected).epsilon(1e-14));
    ++i;
  });
}

TEST_CASE("an accumulated step is the step on everything at once, however it was cut") {
  Run one({.rate = 0.1});
  Run two({.rate = 0.1});
  const auto a = one.trainer.step(whole);
  const auto b = two.trainer.step(parts);
  CHECK(a.loss == Approx(b.loss).epsilon(1e-14));
  CHECK(a.gradient_norm == Approx(b.gradient_norm).epsilon(1e-12));
  CHECK(a.tokens == 20);
  CHECK(b.tokens == 20);
  CHECK(a.labelled == b.labelled);
  CHECK(distance(one.values(), two.values()) < 1e-14);
}

TEST_CASE("clipping shortens the step to the bound, and reports the norm as it was") {
  Run free({.rate = 1});
  const auto start = free.values();
  const auto report = free.trainer.step(whole);
  CHECK(distance(free.values(), start) == Approx(report.gradient_norm));
  Run clipped({.rate = 1, .clip = report.gradient_norm / 4});
  const auto shortened = clipped.trainer.step(whole);
  CHECK(shortened.gradient_norm == Approx(report.gradient_norm).epsilon(1e-14));
  CHECK(distance(clipped.values(), start) == Approx(report.gradient_norm / 4).epsilon(1e-4));
  Run loose({.rate = 1, .clip = 1e6});
  (void)loose.trainer.step(whole);
  CHECK(loose.values() == free.values());
}

TEST_CASE("the schedule sets the rate of each step, and the report counts from one") {
  Run run({.rate = 0.2, .total_steps = 4});
  CHECK(run.trainer.step(whole).rate == 0.2);
  const auto second = run.trainer.step(whole);
  CHECK(second.rate == Approx(0.15));
  CHECK(second.step == 2);
  CHECK(run.trainer.steps() == 2);
}

TEST_CASE("training lowers the loss") {
  Run run({.rate = 0.5, .total_steps = 60});
  const double first = run.trainer.step(whole).loss;
  double last = first;
  for (int i = 0; i < 40; ++i) {
    last = run.trainer.step(whole).loss;
  }
  CHECK(last < 0.9 * first);
}

TEST_CASE("the frozen weights keep every bit") {
  Run run({.rate = 0.5, .total_steps = 9});
  for (int i = 0; i < 3; ++i) {
    (void)run.trainer.step(whole);
  }
  const auto fresh = test::tiny_llama<Uniform<double>, backends::Reference>(test::small_config(), 1);
  for (std::size_t l = 0; l < fresh.blocks.size(); ++l) {
    for (Sites one = 1; one <= site::down; one <<= 1) {
      CHECK(test::identical(run.model.blocks[l].linear(one).weight.view(), fresh.blocks[l].linear(one).weight.view()));
    }
  }
  CHECK(test::identical(run.model.embedding.view(), fresh.embedding.view()));
}

TEST_CASE("dropout draws anew for every step and part, and the same again from the same seed") {
  const Recipe dropping{At<site::linear, adapters::Lora<2>>{{.dropout = 0.5}}};
  const std::vector<train::Batch> twice(2, batch_of({{9, 6}}, 4));
  const auto losses = [&](std::uint64_t seed, std::span<const train::Batch> batches) {
    Run run({.rate = 0, .seed = seed}, dropping);
    return std::pair{run.trainer.step(batches).loss, run.trainer.step(batches).loss};
  };
  const auto one = losses(7, std::span(twice).subspan(0, 1));
  CHECK(one == losses(7, std::span(twice).subspan(0, 1)));
  CHECK(one.first != one.second);
  CHECK(one.first != losses(8, std::span(twice).subspan(0, 1)).first);
  CHECK(one.first != losses(7, twice).first);  // two parts of the same text: other masks in the second
}

TEST_CASE("nothing is allocated for a pass after the largest has been seen") {
  Run run({.rate = 0.1, .total_steps = 9});
  (void)run.trainer.step(whole);
  const std::size_t peak = run.trainer.arena().peak();
  CHECK(peak > 0);
  (void)run.trainer.step(whole);
  CHECK(run.trainer.arena().peak() == peak);
}

TEST_CASE("the optimizer's state is walked under the names of its parameters") {
  Run run({}, {}, {.momentum = 0.9});
  std::vector<std::string> names;
  run.trainer.for_each_state([&](const std::string& name, Tensor<double>& tensor) {
    names.push_back(name);
    CHECK(tensor.size() > 0);
  });
  CHECK(names.size() == 3 * 7 * 2);
  CHECK(names.front() == "model.layers.0.self_attn.q_proj.lora.lora_A.weight.u");
}

TEST_CASE("a step without labels and a model without adapters are refused in a sentence") {
  Run run({});
  train::Batch empty;
  empty.push({{1, 2}, {train::ignored, train::ignored}, 1});
  const Error error = test::error_of([&] { (void)run.trainer.step(std::span(&empty, 1)); });
  CHECK(error.id() == "train.402");
  CHECK_THAT(error.what(), contains("no labelled token"));
  AttachedType nothing;
  CHECK(test::error_of([&] { TrainerType(run.be, run.model, nothing, {}, {}, {}); }).id() == "train.401");
}

TEST_CASE("a spike is refused without a trace, and skip() goes past it: schedule and count move on, updates do not") {
  Run run({.rate = 0.01, .spike = 0.5, .total_steps = 40});  // half the mean: from the eleventh step on all are spikes
  for (int i = 0; i < 10; ++i) {
    CHECK(run.trainer.step(whole).verdict == train::Verdict::applied);
  }
  const auto before = run.values();
  const auto report = run.trainer.step(whole);
  CHECK(report.verdict == train::Verdict::spike);
  CHECK(report.step == 11);
  CHECK(run.values() == before);
  CHECK(run.trainer.steps() == 10);
  run.trainer.skip();
  CHECK(run.trainer.steps() == 11);
  CHECK(run.trainer.progress().updates == 10);
  CHECK(run.trainer.progress().losses.count == 10);
  CHECK(run.trainer.step(whole).rate < report.rate);
}
