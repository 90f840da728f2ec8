// SPDX-License-Identifier: Apache-2.0
// Every adapter of streams teaches the embedded model its task: a yes or no that only the middle of a short story decides.
#include <graft/backends/gemm/eigen.hpp>
#include <graft/backends/simd.hpp>
#include <graft/models/load_tokenizer.hpp>
#include <graft/models/open_checkpoint.hpp>
#include <graft/optimizers/adamw.hpp>
#include <graft/schedules/linear.hpp>
#include <graft/train/dataset.hpp>
#include <graft/train/trainer.hpp>

#include <graft/models/attach.hpp>

#include "support/catch.hpp"
#include "support/every_method.hpp"
#include "support/paths.hpp"

using namespace graft;

namespace {

using VillageBackend = backends::Simd<backends::EigenGemm>;
using VillageModel = models::Llama<Uniform<float>, VillageBackend>;

struct Lesson {
  const char* name;
  test::EveryMethod stack;
  double rate;
  double most;  // of the mean loss of the last ten steps; ln 2 is a guess between yes and no
};

}  // namespace

TEST_CASE("RED, bottlenecks, inserted rows and activated subspaces learn the embedded model's task") {
  const VillageBackend be;
  const models::Checkpoint checkpoint = models::open_checkpoint((test::root() / "examples/models/village").string());
  VillageModel model = VillageModel::load(checkpoint);
  const text::Tokenizer tokenizer = models::load_tokenizer(checkpoint).value();
  const train::Dataset data = train::load_dataset((test::root() / "examples/data/village/train.jsonl").string(),
                                                  {.tokenizer = &tokenizer, .close = false});
  const Placement everywhere{.sites = site::residual};
  const Placement ends_of_prompt{.positions = ends(4, 4), .sites = site::residual};
  using Activated = adapters::ActivatedLoReft<ops::Activation::relu>;
  using Parallel = adapters::ParallelAdapter<ops::Activation::tanh>;
  const Sites half_blocks = site::attention | site::feed_forward;
  const std::vector<Lesson> lessons = {
      {"RED", test::only(test::OnStream<adapters::Red>{{}, {.sites = site::feed_forward}}), 3e-2, 0.6},
      {"series", test::only(test::AfterHalfBlocks<adapters::SeriesAdapter<>>{{.width = 8}, {.sites = half_blocks}}),
       5e-3, 0.2},
      {"parallel", test::only(test::BesideFeedForward<Parallel>{{.width = 8, .scale = 4}, {}}), 5e-3, 0.2},
      {"prompt", test::only(test::Filling<adapters::PromptTuning>{{.tokens = 8, .spread = 1}, {}}), 0.1, 0.9},
      {"prefix", test::only(test::Filling<adapters::PrefixTuning>{{.tokens = 8}, {}}), 5e-2, 0.9},
      {"activated", test::only(test::OnStream<Activated>{{.rank = 4}, ends_of_prompt}), 5e-3, 0.2},
      {"biased", test::only(test::OnStream<adapters::BiasedNoReft<>>{{.rank = 4}, everywhere}), 5e-3, 0.3},
  };
  constexpr Index steps = 60;
  for (const Lesson& lesson : lessons) {
    INFO(lesson.name);
    auto tuned = attach(be, model, lesson.stack, 1);
    train::Trainer trainer{be,
                           model,
                           tuned,
                           optimizers::AdamW{.decay = 0},
                           schedules::Linear{},
                           {.rate = lesson.rate, .total_steps = steps}};
    double first = 0;
    double last = 0;
    for (Index step = 0; step < steps; ++step) {
      const double loss = trainer.step(train::batch_at(data.examples, step, 8, tuned.inserted())).loss;
      (step < 10 ? first : last) += step < 10 || step >= steps - 10 ? loss / 10 : 0;
    }
    CAPTURE(first, last);
    CHECK(first > 1.2);
    CHECK(last < lesson.most);
  }
}
