// SPDX-License-Identifier: Apache-2.0
#include <graft/adapters/olora.hpp>

#include "adapters/golden_start.hpp"
#include "contracts/adapter_contract.hpp"
#include "support/catch.hpp"
#include "support/every_method.hpp"

using namespace graft;

TEST_CASE("OLoRA keeps the adapter contract, and trains as many numbers as LoRA") {
  const Index trained = 2 * 2 * (2 * (7 + 8) + 2 * (4 + 7) + 3 * (5 + 7));
  test::adapter_contract(test::only(test::OnLinear<adapters::Olora<>>{{.rank = 2, .alpha = 3}}), {.trained = trained});
}

TEST_CASE("OLoRA has PEFT's logits, loss and gradients, and PEFT's start") {
  test::check_golden_start<adapters::Olora<>>("olora");
}
