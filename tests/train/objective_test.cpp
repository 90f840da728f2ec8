// SPDX-License-Identifier: Apache-2.0
#include <graft/train/objective.hpp>

#include <graft/adapters/lora.hpp>
#include <graft/models/attach.hpp>
#include <graft/optimizers/sgd.hpp>
#include <graft/schedules/constant.hpp>
#include <graft/train/trainer.hpp>

#include "support/catch.hpp"
#include "support/tiny_llama.hpp"

using namespace graft;

namespace {

/// The mean over sequences of what TokenMean takes over tokens: an objective of one's own.
struct SequenceMean : train::TokenMean {
  [[nodiscard]] Index terms(const train::Batch& batch) const { return batch.ragged.sequences(); }
};

struct NoMean {
  using Batch = train::Batch;
  void begin() const {}
};

static_assert(train::objective<SequenceMean>);
static_assert(!train::objective<NoMean>);

template <class Objective>
train::StepReport one_step(Objective objective) {
  const backends::Reference be;
  auto model = test::tiny_llama<Uniform<double>, backends::Reference>(test::small_config(), 1);
  auto tuned = attach(be, model, Stack<At<site::linear, adapters::Lora<2>>>{}, 4);
  train::Trainer trainer(be, model, tuned, optimizers::Sgd{}, schedules::Constant{}, {}, objective);
  const std::vector<train::Batch> parts = {test::tiny_batch(test::small_config(), {{9, 6}, {7, 2}}, 3),
                                           test::tiny_batch(test::small_config(), {{5, 4}}, 5)};
  return trainer.step(parts);
}

}  // namespace

TEST_CASE("a trainer's mean is its objective's, over all parts of a step: of tokens unless told otherwise") {
  const train::StepReport tokens = one_step(train::TokenMean{});
  const train::StepReport sequences = one_step(SequenceMean{});
  const double ratio = static_cast<double>(tokens.labelled) / 3;
  REQUIRE(ratio > 1.5);
  CHECK(sequences.loss == Approx(ratio * tokens.loss).epsilon(1e-14));
  CHECK(sequences.gradient_norm == Approx(ratio * tokens.gradient_norm).epsilon(1e-12));
}
