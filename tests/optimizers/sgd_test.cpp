// SPDX-License-Identifier: Apache-2.0
#include <graft/optimizers/sgd.hpp>

#include "contracts/optimizer_contract.hpp"

using namespace graft;

TEST_CASE("SGD keeps the optimizer contract, with momentum and without") {
  const double momentum = GENERATE(0.0, 0.9);
  test::optimizer_contract(optimizers::Sgd{.momentum = momentum}, optimizers::Sgd{.momentum = momentum, .decay = 0.1});
}

TEST_CASE("momentum adds a share of the last step's direction") {
  const backends::Reference be;
  Parameter<double> p(1, 1);
  const optimizers::Sgd method{.momentum = 0.5};
  auto state = method.start(p);
  const double expected[] = {-1, -2.5, -4.25};  // u = 1, 1.5, 1.75
  for (Index t = 0; t < 3; ++t) {
    p.gradient(0, 0) = 1;
    method.step(be, p, state, 1, 1.0, t + 1);
    CHECK(p.value(0, 0) == expected[t]);
  }
}

TEST_CASE("without momentum SGD keeps no state") {
  CHECK(optimizers::Sgd{}.start(Parameter<float>(3, 4)).u.size() == 0);
}
