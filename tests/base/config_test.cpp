// SPDX-License-Identifier: Apache-2.0
#include <graft/base/config.hpp>

#include "support/catch.hpp"

namespace {
GRAFT_HD constexpr int twice(int x) {
  return 2 * x;
}

int sum(const int* GRAFT_RESTRICT a, const int* GRAFT_RESTRICT b) {
  return *a + *b;
}
}  // namespace

TEST_CASE("a function marked for both sides of a GPU still runs at compile time here") {
  STATIC_REQUIRE(twice(21) == 42);
}

TEST_CASE("a pointer promised unaliased is a pointer") {
  const int a = 1;
  const int b = 2;
  CHECK(sum(&a, &b) == 3);
}
