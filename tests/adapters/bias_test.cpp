// SPDX-License-Identifier: Apache-2.0
#include <graft/adapters/bias.hpp>

#include "contracts/adapter_contract.hpp"
#include "support/catch.hpp"
#include "support/every_method.hpp"

using namespace graft;

TEST_CASE("BitFit keeps the adapter contract, on maps with a bias and without one") {
  test::adapter_contract(test::only(test::OnLinear<adapters::BitFit>{}), {.trained = 2 * (8 + 4 + 4 + 7 + 5 + 5 + 7)});
}
