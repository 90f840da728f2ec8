// SPDX-License-Identifier: Apache-2.0
#include <graft/core/tensor.hpp>

#include <complex>
#include <cstdint>

#include "support/catch.hpp"
#include "support/tensors.hpp"

using namespace graft;

TEST_CASE("a new tensor is zero everywhere, also where old memory lay") {
  for (int round = 0; round < 3; ++round) {
    Tensor<float> x(17, 33);
    CHECK(test::largest(x.view()) == 0);
    test::fill_normal(x.view(), 1);  // dirt for the next round
  }
  const Tensor<std::complex<double>> z(2, 2);
  CHECK(z(1, 1) == std::complex<double>());
}

TEST_CASE("a tensor begins at a multiple of 64 bytes") {
  for (Index cols = 1; cols < 40; cols += 3) {
    const Tensor<float> x(1, cols);
    CHECK(reinterpret_cast<std::uintptr_t>(x.data()) % alignment == 0);
  }
}

TEST_CASE("a moved tensor keeps its memory, so that views of it stay valid") {
  auto x = test::normal<float>(3, 4, 1);
  const View<float> before = x.view();
  const float kept = before(2, 3);
  const Tensor<float> y = std::move(x);
  CHECK(y.data() == before.data);
  CHECK(y(2, 3) == kept);
  CHECK((y.rows() == 3 && y.cols() == 4 && y.size() == 12));
}

TEST_CASE("a tensor that was moved from is empty") {
  auto x = test::normal<float>(3, 4, 1);
  const Tensor<float> y = std::move(x);
  CHECK(x.size() == 0);  // NOLINT: this is the question
  CHECK(x.view().empty());
  Tensor<float> z;
  auto again = y.clone();
  z = std::move(again);
  CHECK(again.size() == 0);  // NOLINT
  CHECK(z.size() == 12);
}

TEST_CASE("a clone has the same numbers elsewhere") {
  const auto x = test::normal<float>(3, 4, 1);
  const auto y = x.clone();
  CHECK(y.data() != x.data());
  CHECK(test::identical(y.view(), x.view()));
}

TEST_CASE("a tensor is not copied by accident") {
  STATIC_REQUIRE_FALSE(std::is_copy_constructible_v<Tensor<float>>);
  STATIC_REQUIRE_FALSE(std::is_copy_assignable_v<Tensor<float>>);
  STATIC_REQUIRE(std::is_nothrow_move_constructible_v<Tensor<float>>);
}

TEST_CASE("an empty tensor has a shape, no memory, and a clone") {
  const Tensor<float> x(0, 5);
  CHECK((x.data() == nullptr && x.cols() == 5 && x.size() == 0));
  CHECK(x.clone().cols() == 5);
  CHECK(Tensor<float>().view().empty());
}

TEST_CASE("a tensor refuses negative extents") {
  CHECK_THROWS_WITH(Tensor<float>(-1, 3), "shape.103: Tensor: extents must not be negative");
  CHECK_THROWS_WITH(Tensor<float>(3, -1), test::contains("shape.103"));
}
