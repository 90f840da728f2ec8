// SPDX-License-Identifier: Apache-2.0
// The code that docs/adapters/*.md show, run on a tiny model (tests/house/check_pages.py holds the pages against it).
#include <graft/adapters/bias.hpp>
#include <graft/adapters/bottleneck.hpp>
#include <graft/adapters/dora.hpp>
#include <graft/adapters/full.hpp>
#include <graft/adapters/ia3.hpp>
#include <graft/adapters/inserted.hpp>
#include <graft/adapters/loha.hpp>
#include <graft/adapters/lokr.hpp>
#include <graft/adapters/lora.hpp>
#include <graft/adapters/lora_xs.hpp>
#include <graft/adapters/pissa.hpp>
#include <graft/adapters/pmss.hpp>
#include <graft/adapters/subspace.hpp>
#include <graft/adapters/vera.hpp>
#include <graft/models/attach.hpp>
#include <graft/models/count_trainable.hpp>
#include <graft/optimizers/lora_plus.hpp>
#include <graft/schedules/constant.hpp>
#include <graft/train/batch.hpp>
#include <graft/train/trainer.hpp>

#include "support/catch.hpp"
#include "support/tiny_llama.hpp"

using namespace graft;

namespace {
const backends::Reference be;
models::Llama<Uniform<double>, backends::Reference> model =
    test::tiny_llama<Uniform<double>, backends::Reference>(test::small_config(), 1);  // width 13, 3 layers
constexpr std::uint64_t seed = 1;
}  // namespace

TEST_CASE("docs/adapters/lora.md: LoRA on two of the seven maps") {
  const Stack stack{At<site::query | site::value, adapters::Lora<>>{{.rank = 4, .alpha = 8}}};
  auto tuned = attach(be, model, stack, seed);
  CHECK(parameter_count(tuned) == 3 * 4 * ((16 + 13) + (8 + 13)));
}

TEST_CASE("docs/adapters/lora.md: LoRA+ gives B a rate of its own") {
  const Stack stack{At<site::query, adapters::Lora<>>{{.rank = 4, .alpha = 8}}};
  auto tuned = attach(be, model, stack, seed);
  train::Trainer trainer(be, model, tuned, optimizers::LoraPlus<>{.ratio = 16}, schedules::Constant{}, {.rate = 1e-4});
  CHECK(trainer.steps() == 0);
}

TEST_CASE("docs/adapters/dora.md: DoRA on two of the seven maps") {
  const Stack stack{At<site::query | site::value, adapters::Dora<>>{{.rank = 4, .alpha = 8}}};
  auto tuned = attach(be, model, stack, seed);
  CHECK(parameter_count(tuned) == 3 * (4 * ((16 + 13) + (8 + 13)) + 16 + 8));
}

TEST_CASE("docs/adapters/ia3.md: IA3 where its paper has it") {
  const Stack stack{At<site::key | site::value | site::down, adapters::Ia3>{}};
  auto tuned = attach(be, model, stack, seed);
  CHECK(parameter_count(tuned) == 3 * (8 + 8 + 17));
}

TEST_CASE("docs/adapters/bitfit.md: a bias for every map") {
  const Stack stack{At<site::linear, adapters::BitFit>{}};
  auto tuned = attach(be, model, stack, seed);
  CHECK(parameter_count(tuned) == 3 * (16 + 8 + 8 + 13 + 17 + 17 + 13));
}

TEST_CASE("docs/adapters/lycoris.md: LoHa on the queries, LoKr on the feed-forward") {
  const Stack stack{At<site::query, adapters::Loha<>>{{.rank = 2, .alpha = 4}},
                    At<site::gate | site::up, adapters::Lokr>{{.rank = 2, .alpha = 4}}};
  auto tuned = attach(be, model, stack, seed);
  CHECK(parameter_count(tuned) == 3 * (2 * 2 * (16 + 13) + 2 * (1 + 2 * (17 + 13))));
}

TEST_CASE("docs/adapters/pmss.md: PMSS with more columns than rows") {
  const Stack stack{At<site::linear, adapters::Pmss<>>{{.columns = 6, .rows = 4}}};
  auto tuned = attach(be, model, stack, seed);
  CHECK(parameter_count(tuned) == 3 * 7 * 6 * 4);
}

TEST_CASE("docs/adapters/loreft.md: LoReFT on two layers, at both ends of the prompt") {
  const Placement prompts{.layers = only_layers({1, 2}), .positions = ends(2, 2)};
  const Stack stack{At<site::residual, adapters::LoReft<>>{{.rank = 2}, prompts}};
  auto tuned = attach(be, model, stack, seed);
  CHECK(parameter_count(tuned) == 2 * (2 * 13 * 2 + 2));
}

TEST_CASE("docs/adapters/loreft.md: SubLoReFT, two tasks in one batch") {
  const std::vector<std::int32_t> ids = {1, 2, 3};
  const train::Example german{.ids = ids, .labels = ids, .prompt = 2, .subspace = 0b0011};
  const train::Example instruction{.ids = ids, .labels = ids, .prompt = 2, .subspace = 0b1100};
  train::Batch batch;
  batch.push(german);
  batch.push(instruction);
  CHECK(batch.ragged.subspace == std::vector<std::uint64_t>{3, 12});
}

TEST_CASE("docs/adapters/bottleneck.md: Houlsby's adapters and He's") {
  const Stack houlsby{At<site::attention | site::feed_forward, adapters::SeriesAdapter<>>{{.width = 8}}};
  const Stack he{At<site::feed_forward, adapters::ParallelAdapter<>>{{.width = 8, .scale = 4}}};
  const Index unit = 2 * 13 * 8 + 8 + 13;
  CHECK(models::count_trainable(model.config, houlsby) == 3 * 2 * unit);
  CHECK(models::count_trainable(model.config, he) == 3 * unit);
}

TEST_CASE("docs/adapters/prompt.md: prompt tuning, and a batch with its placeholders") {
  const train::Example example{{1, 2, 3}, {1, 2, 3}, 1};
  const Stack stack{At<site::embedded, adapters::PromptTuning>{{.tokens = 4}}};
  auto tuned = attach(be, model, stack, seed);
  train::Batch batch;
  batch.push(example, 1, tuned.inserted());
  CHECK(parameter_count(tuned) == 4 * 13);
  CHECK(batch.ragged.tokens() == 7);
}

TEST_CASE("docs/adapters/pissa.md: PiSSA on all maps") {
  const Stack stack{At<site::linear, adapters::Pissa<>>{{.rank = 4, .alpha = 4}}};
  auto tuned = attach(be, model, stack, seed);
  CHECK(parameter_count(tuned) == 3 * 4 * ((16 + 13) + 2 * (8 + 13) + (13 + 16) + 3 * (17 + 13)));
}

TEST_CASE("docs/adapters/lora-xs.md: LoRA-XS on all maps") {
  const Stack stack{At<site::linear, adapters::LoraXs<>>{{.rank = 4, .alpha = 4}}};
  auto tuned = attach(be, model, stack, seed);
  CHECK(parameter_count(tuned) == 3 * 7 * 4 * 4);
}

TEST_CASE("docs/adapters/vera.md: VeRA on query and value") {
  const Stack stack{At<site::query | site::value, adapters::Vera<>>{{.rank = 16}}};
  auto tuned = attach(be, model, stack, seed);
  CHECK(parameter_count(tuned) == 3 * ((16 + 16) + (8 + 16)));
}

TEST_CASE("docs/adapters/full.md: the norms and the upper feed-forwards") {
  const Placement named{.modules = {"*norm*", "model.layers.2.mlp.*"}};
  const Stack stack{At<site::everything & ~site::stream, adapters::Full>{{}, named}};
  auto tuned = attach(be, model, stack, seed);
  CHECK(parameter_count(tuned) == models::count_trainable(model.config, stack));
  CHECK(parameter_count(tuned) == (2 * 3 + 1) * 13 + 3 * 17 * 13);
}
