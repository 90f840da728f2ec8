// SPDX-License-Identifier: Apache-2.0
#include <graft/ops/multiply_columns.hpp>

#include "support/catch.hpp"
#include "support/complex_step.hpp"

using namespace graft;
using test::Complex;

TEST_CASE("every column is multiplied by its gain, in place too, and the gradient is the same map") {
  const auto gain = test::rows_of<double>({{2, -1, 0}});
  const auto x = test::rows_of<double>({{1, 2, 3}, {-4, 5, 6}});
  Tensor<double> y(2, 3);
  ops::multiply_columns(gain.view(), x.view(), y.view());
  CHECK(test::identical(y.view(), test::rows_of<double>({{2, -2, 0}, {-8, -5, 0}}).view()));
  ops::multiply_columns(gain.view(), y.view(), y.view());
  CHECK(test::identical(y.view(), test::rows_of<double>({{4, 2, 0}, {-16, 5, 0}}).view()));

  const auto g = test::normal<Complex>(1, 5, 1);
  auto z = test::normal<Complex>(4, 5, 2);
  const auto dy = test::normal<Complex>(4, 5, 3);
  Tensor<Complex> out(4, 5);
  Tensor<Complex> dz(4, 5);
  ops::multiply_columns(g.view(), dy.view(), dz.view());
  const auto f = [&] {
    ops::multiply_columns(g.view(), z.view(), out.view());
    return test::inner(dy.view(), out.view());
  };
  test::check_gradient(f, z.view(), dz.view());
}

TEST_CASE("multiply_columns refuses shapes that disagree") {
  Tensor<float> gain(1, 2), x(3, 3), y(3, 3);
  CHECK_THROWS_WITH(ops::multiply_columns(gain.view(), x.view(), y.view()), test::contains("shape.129"));
}
