// SPDX-License-Identifier: Apache-2.0
#include <graft/core/operand.hpp>

#include "support/catch.hpp"
#include "support/tensors.hpp"

using namespace graft;

namespace {
struct Counting {
  int* copies;
  void copy(View<const float> x, View<bf16> y) const {
    ++*copies;
    for (Index j = 0; j < x.cols; ++j) {
      y(0, j) = bf16(x(0, j));
    }
  }
};
}  // namespace

TEST_CASE("a uniform precision hands its input to the gemm without a copy") {
  const auto x = test::normal<float>(2, 3, 1);
  int copies = 0;
  const auto entry = operand<Uniform<float>>(Counting{&copies}, x.view(), View<float>());
  CHECK(entry.data == x.data());
  CHECK(copies == 0);
}

TEST_CASE("a mixed precision rounds its input once, into the scratch") {
  const auto x = test::rows_of<float>({{1.00390625, -3}});
  Tensor<bf16> scratch(1, 2);
  int copies = 0;
  const auto entry = operand<Mixed<bf16, float>>(Counting{&copies}, x.view(), scratch.view());
  CHECK(entry.data == scratch.data());
  CHECK((entry(0, 0) == bf16(1.0F) && entry(0, 1) == bf16(-3.0F)));
  CHECK(copies == 1);
}
