// SPDX-License-Identifier: Apache-2.0
#include <graft/optimizers/adamw.hpp>

#include "contracts/optimizer_contract.hpp"

using namespace graft;

TEST_CASE("AdamW keeps the optimizer contract") {
  test::optimizer_contract(optimizers::AdamW{}, optimizers::AdamW{.decay = 0.1});
}

TEST_CASE("AdamW keeps two moments of the size of the parameter") {
  const optimizers::AdamW method;
  auto state = method.start(Parameter<float>(3, 4));
  std::string names;
  state.for_each_tensor([&](const char* name, Tensor<float>& tensor) {
    names += name;
    CHECK((tensor.rows() == 3 && tensor.cols() == 4));
  });
  CHECK(names == "mv");
}
