// SPDX-License-Identifier: Apache-2.0
#include <graft/schedules/constant.hpp>

#include "schedules/golden_schedules.hpp"

using namespace graft;

TEST_CASE("the constant schedule has transformers' factors") {
  test::check_golden_schedule("constant.warmup0", schedules::Constant{});
}
