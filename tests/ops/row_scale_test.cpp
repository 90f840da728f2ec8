// SPDX-License-Identifier: Apache-2.0
#include <graft/ops/row_scale.hpp>

#include <limits>

#include "support/catch.hpp"
#include "support/complex_step.hpp"
#include "support/tensors.hpp"

using namespace graft;

TEST_CASE("every row has its factor, beside what was there or over it") {
  const auto scale = test::normal<double>(3, 1, 1), x = test::normal<double>(3, 4, 2);
  auto y = test::normal<double>(3, 4, 3);
  const auto before = y.clone();
  ops::multiply_rows(scale.view(), x.view(), 0.5, y.view());
  CHECK(y(2, 1) == scale(2, 0) * x(2, 1) + 0.5 * before(2, 1));
  y(0, 0) = std::numeric_limits<double>::quiet_NaN();  // beta 0 ignores it
  ops::multiply_rows(scale.view(), x.view(), 0.0, y.view());
  CHECK(y(0, 0) == scale(0, 0) * x(0, 0));
  CHECK_THROWS_AS(ops::multiply_rows(x.view(), x.view(), 0.0, y.view()), Error);
}

TEST_CASE("the gradient of the factors is a dot of each row") {
  const auto x = test::normal<double>(3, 4, 2), dy = test::normal<double>(3, 4, 3);
  const auto scale = test::normal<double>(3, 1, 1);
  Tensor<double> sum(3, 1);
  sum(1, 0) = 1;
  ops::add_row_dots(x.view(), dy.view(), sum.view());
  for (Index i = 0; i < 3; ++i) {
    Tensor<std::complex<double>> turned(3, 1), wide(3, 4), y(3, 4);
    for (Index k = 0; k < 3; ++k) {
      turned(k, 0) = {scale(k, 0), k == i ? 1e-30 : 0.0};
      for (Index j = 0; j < 4; ++j) {
        wide(k, j) = x(k, j);
      }
    }
    ops::multiply_rows(turned.view(), wide.view(), 0.0, y.view());
    double slope = i == 1 ? 1.0 : 0.0;
    for (Index j = 0; j < 4; ++j) {
      slope += dy(i, j) * y(i, j).imag() / 1e-30;
    }
    CHECK(sum(i, 0) == Approx(slope).epsilon(1e-12));
  }
}
