// SPDX-License-Identifier: Apache-2.0
// The code that docs/adapters/*.md show, run on a tiny model (tests/house/check_pages.py holds the pages against it).
#include <graft/adapters/lora.hpp>
#include <graft/adapters/lora_xs.hpp>
#include <graft/adapters/pissa.hpp>
#include <graft/adapters/pmss.hpp>
#include <graft/adapters/subspace.hpp>
#include <graft/adapters/vera.hpp>
#include <graft/models/attach.hpp>
#include <graft/models/count_trainable.hpp>

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
