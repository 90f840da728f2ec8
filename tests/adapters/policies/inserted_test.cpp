// SPDX-License-Identifier: Apache-2.0
#include <graft/adapters/policies/inserted.hpp>

#include "support/catch.hpp"

using namespace graft;
namespace policies = adapters::policies;

TEST_CASE("virtual tokens stand once a model, keys and values in every block") {
  STATIC_REQUIRE((policies::VirtualTokens::sites & site::once) == policies::VirtualTokens::sites);
  STATIC_REQUIRE((policies::KeysAndValues::sites & site::in_block) == policies::KeysAndValues::sites);
}
