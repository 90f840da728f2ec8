// SPDX-License-Identifier: Apache-2.0
#include <graft/core/parameter.hpp>

#include "support/catch.hpp"
#include "support/tensors.hpp"

using namespace graft;

namespace {
struct TwoMatrices {
  Parameter<float> down{2, 6};
  Parameter<float> up{6, 2, false};

  template <class Visit>
  void for_each_parameter(const Visit& visit) {
    visit("down", down);
    visit("up", up);
  }
};
struct Nothing {};
}  // namespace

TEST_CASE("a new parameter is zero, has a zero gradient of its shape, and decays") {
  const Parameter<float> parameter(3, 4);
  CHECK((parameter.value.rows == 3 && parameter.value.cols == 4 && parameter.size() == 12));
  CHECK((parameter.gradient.rows() == 3 && parameter.gradient.cols() == 4));
  CHECK(test::largest(parameter.value) == 0);
  CHECK(test::largest(parameter.gradient.view()) == 0);
  CHECK(parameter.decays);
  CHECK_FALSE(Parameter<float>(1, 1, false).decays);
}

TEST_CASE("a moved parameter still trains its own numbers") {
  Parameter<float> parameter(2, 2);
  parameter.value(1, 1) = 7;
  const Parameter<float> moved(std::move(parameter));
  CHECK(moved.value.data == moved.storage.data());
  CHECK(moved.value(1, 1) == 7);
}

TEST_CASE("a parameter can train memory that belongs to a model") {
  auto weight = test::normal<float>(3, 4, 1);
  const Parameter<float> parameter(weight.view());
  parameter.value(2, 3) = 42;
  CHECK(weight(2, 3) == 42);
  CHECK(parameter.storage.size() == 0);
  CHECK(parameter.gradient.size() == 12);
}

TEST_CASE("the trained scalars of a module are counted over all its parameters") {
  TwoMatrices module;
  CHECK(parameter_count(module) == 24);
}

TEST_CASE("only what can be walked has parameters") {
  STATIC_REQUIRE(has_parameters<TwoMatrices>);
  STATIC_REQUIRE_FALSE(has_parameters<Nothing>);
  STATIC_REQUIRE_FALSE(has_parameters<float>);
}
