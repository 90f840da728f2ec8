// SPDX-License-Identifier: Apache-2.0
#include <graft/base/index.hpp>

#include <type_traits>

#include "support/catch.hpp"

using namespace graft;

TEST_CASE("Index is signed and as wide as a pointer") {
  STATIC_REQUIRE(std::is_signed_v<Index>);
  STATIC_REQUIRE(sizeof(Index) == sizeof(void*));
  STATIC_REQUIRE(dynamic < 0);  // no extent can be mistaken for it
}

TEST_CASE("ceil_div is the smallest quotient that covers") {
  const auto [a, b, expected] =
      GENERATE(table<Index, Index, Index>({{0, 4, 0}, {1, 4, 1}, {4, 4, 1}, {5, 4, 2}, {8, 4, 2}, {7, 1, 7}}));
  CAPTURE(a, b);
  CHECK(ceil_div(a, b) == expected);
  CHECK(round_up(a, b) == expected * b);
}
