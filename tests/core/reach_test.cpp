// SPDX-License-Identifier: Apache-2.0
#include <graft/core/reach.hpp>

#include "support/catch.hpp"

using namespace graft;

TEST_CASE("a longer reach compares greater, from the output of a block down to its input") {
  STATIC_REQUIRE(Reach::edits_only < Reach::feed_forward);
  STATIC_REQUIRE(Reach::feed_forward < Reach::output);
  STATIC_REQUIRE(Reach::output < Reach::attention);
  STATIC_REQUIRE(Reach::attention < Reach::input);
}
