// SPDX-License-Identifier: Apache-2.0
#include <graft/schedules/linear.hpp>

#include "schedules/golden_schedules.hpp"

using namespace graft;

TEST_CASE("the linear schedule has transformers' factors") {
  test::check_golden_schedule("linear.warmup0", schedules::Linear{});
}

TEST_CASE("past its last step the linear schedule stays at nothing") {
  CHECK(schedules::Linear{}.factor(20, 20) == 0);
  CHECK(schedules::Linear{}.factor(35, 20) == 0);
}
