// SPDX-License-Identifier: Apache-2.0
#include <graft/schedules/constant.hpp>
#include <graft/schedules/cosine.hpp>
#include <graft/schedules/linear.hpp>
#include <graft/schedules/warm_up.hpp>

#include "schedules/golden_schedules.hpp"

using namespace graft;
using schedules::WarmUp;

TEST_CASE("warming up before any schedule has transformers' factors") {
  test::check_golden_schedule("constant_with_warmup.warmup3", WarmUp{3, schedules::Constant{}});
  test::check_golden_schedule("linear.warmup3", WarmUp{3, schedules::Linear{}});
  test::check_golden_schedule("cosine.warmup3", WarmUp{3, schedules::Cosine{}});
}

TEST_CASE("a warm-up of no steps changes nothing") {
  test::check_golden_schedule("constant_with_warmup.warmup0", WarmUp{0, schedules::Constant{}});
  test::check_golden_schedule("linear.warmup0", WarmUp{0, schedules::Linear{}});
  test::check_golden_schedule("cosine.warmup0", WarmUp{0, schedules::Cosine{}});
}

TEST_CASE("a warm-up longer than the run only climbs") {
  const WarmUp rates{30, schedules::Linear{}};
  for (Index step = 0; step + 1 < 20; ++step) {
    CHECK(rates.factor(step, 20) < rates.factor(step + 1, 20));
  }
}
