// SPDX-License-Identifier: Apache-2.0
// The code that docs/adapters/*.md show, run on a tiny model (tests/house/check_pages.py holds the pages against it).
#include <graft/adapters/bias.hpp>
#include <graft/adapters/dora.hpp>
#include <graft/adapters/ia3.hpp>
#include <graft/adapters/loha.hpp>
#include <graft/adapters/lokr.hpp>
#include <graft/adapters/lora.hpp>
#include <graft/adapters/pmss.hpp>
#include <graft/adapters/subspace.hpp>
#include <graft/models/attach.hpp>
#include <graft/models/count_trainable.hpp>
#include <graft/optimizers/lora_plus.hpp>
#include <graft/schedules/constant.hpp>
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
