// SPDX-License-Identifier: Apache-2.0
#include <graft/adapters/loha.hpp>

#include "contracts/adapter_contract.hpp"
#include "support/catch.hpp"
#include "support/every_method.hpp"
#include "support/golden_adapter.hpp"

using namespace graft;
using test::contains;

namespace {
using OnLoha = test::OnLinear<adapters::Loha<>>;
}  // namespace

TEST_CASE("LoHa keeps the adapter contract") {
  const Index lora = 2 * 2 * (2 * (7 + 8) + 2 * (4 + 7) + 3 * (5 + 7));
  test::adapter_contract(test::only(OnLoha{{.rank = 2, .alpha = 3}}), {.trained = 2 * lora});
}

TEST_CASE("the golden PEFT LoHa has PEFT's logits, gradients and merged weights in double") {
  test::check_peft_case(test::only(OnLoha{{.rank = 3, .alpha = 6}, {.sites = site::query | site::down}}), "loha");
}

TEST_CASE("a rank that LoHa cannot have is refused with the module's name") {
  const DenseWeight<double> weight(Tensor<double>(5, 6));
  const Place place{0, site::query, 5, 6, "model.layers.0.self_attn.q_proj"};
  const auto make = [&](auto recipe) {
    return [&, recipe] {
      (void)typename decltype(recipe)::template Module<double>(recipe, backends::Reference{}, weight, place, Random(1));
    };
  };
  const Error zero = test::error_of(make(adapters::Loha<>{.rank = 0}));
  CHECK(zero.id() == "adapter.700");
  CHECK_THAT(zero.what(), contains("found 0"));
  CHECK_THAT(zero.what(), contains("q_proj"));
  CHECK(test::error_of(make(adapters::Loha<8>{.rank = 4})).id() == "adapter.700");
}
