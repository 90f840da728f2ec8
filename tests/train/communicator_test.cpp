// SPDX-License-Identifier: Apache-2.0
#include <graft/train/communicator.hpp>

#include <limits>
#include <mutex>

#include <graft/adapters/lora.hpp>
#include <graft/models/attach.hpp>
#include <graft/optimizers/adamw.hpp>
#include <graft/schedules/linear.hpp>
#include <graft/train/trainer.hpp>

#include "support/catch.hpp"
#include "support/files.hpp"
#include "support/tiny_llama.hpp"
#include "support/together.hpp"

using namespace graft;

namespace {

static_assert(train::communicator<train::Alone, backends::Reference, double>);
static_assert(train::communicator<test::Together, backends::Reference, float>);

struct NoSum {
  [[nodiscard]] Index rank() const { return 0; }
  [[nodiscard]] Index size() const { return 1; }
};
static_assert(!train::communicator<NoSum, backends::Reference, float>);

using SharedModel = models::Llama<Uniform<double>, backends::Reference>;
using SharedRecipe = Stack<At<site::linear, adapters::Lora<2>>>;

/// What a process holds: LoRA on a tiny model, whose B is not zero, trained by AdamW.
template <class Processes>
struct Member {
  backends::Reference be;
  SharedModel model = test::tiny_llama<Uniform<double>, backends::Reference>(test::small_config(), 1);
  Attached<double, SharedRecipe> tuned;
  train::Trainer<SharedModel, Attached<double, SharedRecipe>, optimizers::AdamW, schedules::Linear, train::TokenMean, Processes>
      trainer;

  Member(train::TrainerSettings settings, double dropout, Processes processes)
      : tuned(attach(be, model, SharedRecipe{At<site::linear, adapters::Lora<2>>{{.dropout = dropout}}}, 4)),
        trainer(be, model, tuned, {}, {}, settings, {}, processes) {
    tuned.for_each_parameter([](const std::string&, Parameter<double>& p) {
      p.value(0, 0) += 0.1;
      p.value(1, 1) += 0.2;
    });
  }

  [[nodiscard]] std::vector<double> values() {
    std::vector<double> all;
    tuned.for_each_parameter([&](const std::string&, Parameter<double>& p) {
      all.insert(all.end(), p.value.data, p.value.data + p.size());
    });
    return all;
  }
};

using Shares = std::vector<std::vector<train::Batch>>;  // by process

train::Batch share_of(const std::vector<test::TinySequence>& sequences, std::uint64_t seed) {
  return test::tiny_batch(test::small_config(), sequences, seed);
}
/// Three processes, with two, no and one batch.
const Shares uneven = {{share_of({{5, 4}}, 3), share_of({{9, 6}, {6, 3}}, 4)}, {}, {share_of({{7, 5}}, 8)}};
/// One batch for each of two.
const Shares even = {{share_of({{9, 6}, {6, 3}}, 4)}, {share_of({{7, 5}, {5, 4}}, 8)}};

/// What a run has come to.
struct Outcome {
  std::vector<train::StepReport> reports;
  std::vector<double> values;
};

Outcome apart(const Shares& shares, train::TrainerSettings settings, double dropout, Index steps) {
  std::vector<train::Batch> all;
  for (const auto& share : shares) {
    all.insert(all.end(), share.begin(), share.end());
  }
  Member<train::Alone> member(settings, dropout, {});
  Outcome outcome;
  for (Index i = 0; i < steps; ++i) {
    outcome.reports.push_back(member.trainer.step(all));
  }
  outcome.values = member.values();
  return outcome;
}

std::vector<Outcome> together(const Shares& shares, train::TrainerSettings settings, double dropout, Index steps) {
  std::vector<Outcome> outcomes(shares.size());
  test::run_together(std::ssize(shares), [&](const test::Together& processes) {
    const auto rank = static_cast<std::size_t>(processes.rank());
    Member<test::Together> member(settings, dropout, processes);
    for (Index i = 0; i < steps; ++i) {
      outcomes[rank].reports.push_back(member.trainer.step(shares[rank]));
    }
    outcomes[rank].values = member.values();
  });
  return outcomes;
}

/// Each process ends in the same bits, and those are what one process has come to, up to the order of sums.
void check_equal(const Shares& shares, train::TrainerSettings settings, double dropout, bool same_bits) {
  constexpr Index steps = 4;
  const Outcome one = apart(shares, settings, dropout, steps);
  const std::vector<Outcome> all = together(shares, settings, dropout, steps);
  for (const Outcome& outcome : all) {
    CHECK(outcome.values == all[0].values);
    for (std::size_t i = 0; i < outcome.reports.size(); ++i) {
      CAPTURE(i);
      const train::StepReport& report = outcome.reports[i];
      CHECK(report.loss == all[0].reports[i].loss);
      CHECK(report.gradient_norm == all[0].reports[i].gradient_norm);
      CHECK(report.tokens == one.reports[i].tokens);
      CHECK(report.labelled == one.reports[i].labelled);
      CHECK(report.step == one.reports[i].step);
      CHECK(report.loss == Approx(one.reports[i].loss).epsilon(1e-12));
      CHECK(report.gradient_norm == Approx(one.reports[i].gradient_norm).epsilon(1e-10));
    }
  }
  REQUIRE(one.values.size() == all[0].values.size());
  for (std::size_t i = 0; i < one.values.size(); ++i) {
    CHECK(all[0].values[i] == Approx(one.values[i]).epsilon(1e-8).margin(1e-10));  // AdamW divides by small moments
  }
  if (same_bits) {
    CHECK(all[0].reports[0].loss == one.reports[0].loss);
  }
}

}  // namespace

TEST_CASE("alone there is one process, whose numbers stay as they are") {
  double number = 3;
  train::Alone().sum(std::span(&number, 1));
  CHECK(number == 3);
  CHECK(train::Alone::rank() == 0);
  CHECK(train::Alone::size() == 1);
}

TEST_CASE("several processes with a share each do what one does that accumulates the shares") {
  check_equal(even, {.rate = 0.01, .total_steps = 9}, 0, true);
}

TEST_CASE("shares may be of several batches, or empty") {
  check_equal(uneven, {.rate = 0.01, .total_steps = 9}, 0, false);
}

TEST_CASE("the masks of dropout are those of the one process, whose batches are numbered through the processes") {
  check_equal(even, {.rate = 0.01, .total_steps = 9, .seed = 5}, 0.5, true);
  check_equal(uneven, {.rate = 0.01, .total_steps = 9, .seed = 5}, 0.5, false);
  const auto with = together(even, {.rate = 0.01, .seed = 5}, 0.5, 1);
  CHECK(with[0].reports[0].loss != together(even, {.rate = 0.01, .seed = 5}, 0, 1)[0].reports[0].loss);
}

TEST_CASE("the gradient is clipped by the norm of all processes' sum") {
  const double norm = apart(uneven, {.rate = 0.01}, 0, 1).reports[0].gradient_norm;
  check_equal(uneven, {.rate = 0.01, .clip = norm / 8, .total_steps = 9}, 0, false);
}

TEST_CASE("a share that is not finite stops the step on every process, and moves nothing anywhere") {
  test::run_together(2, [&](const test::Together& processes) {
    Member<test::Together> member({.rate = 0.01}, 0, processes);
    const std::vector<double> before = member.values();
    if (processes.rank() == 1) {
      member.model.final_norm(0, 0) = std::numeric_limits<double>::quiet_NaN();
    }
    const auto& share = even[static_cast<std::size_t>(processes.rank())];
    const train::StepReport report = member.trainer.step(share);
    const bool unmoved = member.values() == before && member.trainer.steps() == 0;
    const std::string why = member.trainer.first_non_finite(share);
    static std::mutex one_at_a_time;  // Catch2 counts for one thread
    const std::scoped_lock lock(one_at_a_time);
    CHECK(report.verdict == train::Verdict::not_finite);
    CHECK(unmoved);
    CHECK(why == (processes.rank() == 1 ? "the logits" : ""));
  });
}

TEST_CASE("a step without labels is refused on every process, but a share without any is none") {
  train::Batch unlabelled;
  unlabelled.push({{1, 2}, {train::ignored, train::ignored}, 1});
  std::vector<std::string> ids(2);
  test::run_together(2, [&](const test::Together& processes) {
    Member<test::Together> member({.rate = 0.01}, 0, processes);
    const std::vector<train::Batch> share(processes.rank() == 0 ? 1 : 0, unlabelled);
    ids[static_cast<std::size_t>(processes.rank())] = test::error_of([&] { (void)member.trainer.step(share); }).id();
  });
  CHECK(ids == std::vector<std::string>(2, "train.402"));
}
