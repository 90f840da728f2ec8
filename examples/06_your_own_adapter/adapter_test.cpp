// SPDX-License-Identifier: Apache-2.0
#include "adapter.hpp"

#include "contracts/adapter_contract.hpp"
#include "support/catch.hpp"

using namespace graft;

TEST_CASE("OutputGain keeps the contract of an adapter") {
  const Stack stack{At<site::query | site::down, example::OutputGain>{}};
  graft::test::adapter_contract(stack, {.trained = 2 * (8 + 7)});  // two layers; q has 8 outputs, down 7
}
