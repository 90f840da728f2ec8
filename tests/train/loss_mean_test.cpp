// SPDX-License-Identifier: Apache-2.0
#include <graft/train/loss_mean.hpp>

#include "support/catch.hpp"

using namespace graft;

TEST_CASE("the mean of few losses is theirs, of many that of the last ones") {
  train::LossMean losses;
  losses.add(1);
  losses.add(2);
  losses.add(6);
  CHECK(losses.mean == Approx(3));
  for (int i = 0; i < 1000; ++i) {
    losses.add(5);
  }
  CHECK(losses.mean == Approx(5).epsilon(1e-6));
  CHECK(losses.count == 1003);
}

TEST_CASE("a spike is a loss above so many means, once ten losses are known and somebody asks") {
  train::LossMean losses;
  for (Index i = 0; i < train::LossMean::settled - 1; ++i) {
    losses.add(2);
  }
  CHECK_FALSE(losses.is_spike(100, 3));
  losses.add(2);
  CHECK(losses.is_spike(100, 3));
  CHECK(losses.is_spike(6.01, 3));
  CHECK_FALSE(losses.is_spike(6, 3));
  CHECK_FALSE(losses.is_spike(1e9, 0));
}
