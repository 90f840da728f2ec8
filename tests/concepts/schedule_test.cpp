// SPDX-License-Identifier: Apache-2.0
#include <graft/schedule.hpp>

#include "support/catch.hpp"

using namespace graft;

namespace {
struct Halving {
  double factor(Index step, Index) const { return 1.0 / static_cast<double>(step + 1); }
};
struct Changing {
  double factor(Index, Index) { return 1; }  // a schedule remembers nothing
};
struct WithoutTotal {
  double factor(Index) const { return 1; }
};
}  // namespace

TEST_CASE("a schedule is a function of step and total, and nothing else") {
  STATIC_REQUIRE(schedule<Halving>);
  STATIC_REQUIRE_FALSE(schedule<Changing>);
  STATIC_REQUIRE_FALSE(schedule<WithoutTotal>);
}
