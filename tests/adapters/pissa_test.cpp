// SPDX-License-Identifier: Apache-2.0
#include <graft/adapters/pissa.hpp>

#include "adapters/golden_start.hpp"
#include "contracts/adapter_contract.hpp"
#include "support/catch.hpp"
#include "support/every_method.hpp"
#include "support/files.hpp"

using namespace graft;

namespace {
using Principal = test::OnLinear<adapters::Pissa<>>;
}

TEST_CASE("PiSSA keeps the adapter contract, and trains as many numbers as LoRA") {
  const Index trained = 2 * 2 * (2 * (7 + 8) + 2 * (4 + 7) + 3 * (5 + 7));
  test::adapter_contract(test::only(Principal{{.rank = 2, .alpha = 3}}), {.trained = trained});
}

TEST_CASE("PiSSA has PEFT's logits, loss and gradients, and PEFT's start") {
  test::check_golden_start<adapters::Pissa<>>("pissa");
}

TEST_CASE("more directions than a weight has are refused with the module's name, and ranks as in LoRA") {
  const backends::Reference be;
  const DenseWeight<double> weight(test::normal<double>(5, 6, 1));
  const Place place{0, site::query, 5, 6, "model.layers.0.self_attn.q_proj"};
  const auto refused = [&](auto recipe) {
    return test::error_of(
        [&] { (void)typename decltype(recipe)::template Module<double>(recipe, be, weight, place, Random(1)); });
  };
  const Error error = refused(adapters::Pissa<>{.rank = 6});
  CHECK(error.id() == "adapter.720");
  CHECK(test::says(error, "= 5; found 6"));
  CHECK(test::says(error, "q_proj"));
  CHECK(refused(adapters::Pissa<>{.rank = 0}).id() == "adapter.601");
  CHECK(refused(adapters::Pissa<2>{.rank = 3}).id() == "adapter.601");
}
