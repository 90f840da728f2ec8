// SPDX-License-Identifier: Apache-2.0
#include <graft/backends/scratch.hpp>

#include <cstdint>

#include "support/catch.hpp"
#include "support/tensors.hpp"

using namespace graft;
using backends::Purpose;
using backends::scratch;

TEST_CASE("scratch stays where it is until more is asked for, and purposes do not share") {
  float* const first = scratch<Purpose::rows, float>(1000);
  float* const other = scratch<Purpose::operand, float>(1000);
  CHECK(first != other);
  CHECK(scratch<Purpose::rows, float>(10) == first);
  CHECK(scratch<Purpose::rows, float>(1000) == first);
  CHECK(reinterpret_cast<std::uintptr_t>(scratch<Purpose::rows, float>(100000)) % 64 == 0);
}

TEST_CASE("a matrix in scratch memory is the transpose") {
  const Tensor<float> x = test::normal<float>(5, 17, 1);
  const View<const float> y = backends::turned(x.view().middle_cols(2, 9));
  REQUIRE(y.rows == 9);
  REQUIRE(y.cols == 5);
  for (Index i = 0; i < y.rows; ++i) {
    for (Index j = 0; j < y.cols; ++j) {
      CHECK(y(i, j) == x(j, 2 + i));
    }
  }
}
