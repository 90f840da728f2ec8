// SPDX-License-Identifier: Apache-2.0
#include <graft/linalg/squared_norm.hpp>

#include <graft/core/tensor.hpp>

#include "support/catch.hpp"

using namespace graft;

TEST_CASE("squared_norm counts every entry once, in double, also beside eight and where float would overflow",
          "[linalg]") {
  const Index length = GENERATE(0, 1, 7, 8, 19);
  Tensor<float> row(1, length);
  Tensor<bf16> narrow(1, length);
  double expected = 0;
  for (Index j = 0; j < length; ++j) {
    row(0, j) = static_cast<float>(j) * 0x1p100f;
    narrow(0, j) = bf16(row(0, j));
    expected += static_cast<double>(j) * static_cast<double>(j) * 0x1p200;
  }
  CHECK(linalg::squared_norm(std::as_const(row).view()) == expected);
  CHECK(linalg::squared_norm(std::as_const(narrow).view()) == expected);
}
