// SPDX-License-Identifier: Apache-2.0
#include <graft/schedules/cosine.hpp>

#include "schedules/golden_schedules.hpp"

using namespace graft;

TEST_CASE("the cosine schedule has transformers' factors") {
  test::check_golden_schedule("cosine.warmup0", schedules::Cosine{});
}

TEST_CASE("the cosine ends at its floor and stays there, where transformers' would rise again") {
  CHECK(schedules::Cosine{}.factor(21, 20) == 0);
  CHECK(schedules::Cosine{.floor = 0.1}.factor(20, 20) == Approx(0.1));
  CHECK(schedules::Cosine{.floor = 0.1}.factor(10, 20) == Approx(0.55));
  CHECK(schedules::Cosine{.floor = 0.1}.factor(0, 20) == 1);
}
