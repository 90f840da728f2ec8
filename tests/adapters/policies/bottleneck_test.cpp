// SPDX-License-Identifier: Apache-2.0
#include <graft/adapters/policies/bottleneck.hpp>

#include "support/catch.hpp"

using namespace graft;
namespace policies = adapters::policies;

TEST_CASE("a series adapter stands after any part of a block, a parallel one beside the feed-forward only") {
  STATIC_REQUIRE(policies::Series::sites == (site::attention | site::feed_forward | site::residual));
  STATIC_REQUIRE(policies::Parallel::sites == site::feed_forward);
  STATIC_REQUIRE((policies::Parallel::reads_input && !policies::Series::reads_input));
}
