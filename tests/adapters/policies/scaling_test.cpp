// SPDX-License-Identifier: Apache-2.0
#include <graft/adapters/policies/scaling.hpp>

#include "support/catch.hpp"

using namespace graft::adapters::policies;

TEST_CASE("alpha over the rank, and over its root") {
  CHECK(AlphaOverRank::scale(16, 8) == 2);
  CHECK(AlphaOverRootRank::scale(16, 64) == 2);
}
