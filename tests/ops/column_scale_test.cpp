// SPDX-License-Identifier: Apache-2.0
#include <graft/ops/column_scale.hpp>

#include "support/complex_step.hpp"

using namespace graft;
using test::Complex;
using test::rows_of;

TEST_CASE("rescale_columns turns the x within y into scale x") {
  const auto scale = rows_of<double>({{2, 0.5, 1}});
  const auto x = rows_of<double>({{1, 2, 3}, {4, 6, 8}});
  auto y = rows_of<double>({{11, 12, 13}, {4, 6, 8}});
  ops::rescale_columns(scale.view(), x.view(), y.view());
  CHECK(test::identical(y.view(), rows_of<double>({{12, 11, 13}, {8, 3, 8}}).view()));
}

TEST_CASE("add_column_dots is the gradient of the scale, rescale_columns that of x") {
  auto scale = test::normal<Complex>(1, 5, 1);
  auto x = test::normal<Complex>(3, 5, 2);
  const auto dy = test::normal<Complex>(3, 5, 3);
  const auto f = [&] {
    Tensor<Complex> y = x.clone();
    ops::rescale_columns(scale.view(), x.view(), y.view());
    return test::inner(dy.view(), y.view());
  };
  Tensor<Complex> dscale(1, 5);
  ops::add_column_dots(x.view(), dy.view(), dscale.view());
  test::check_gradient(f, scale.view(), dscale.view());
  Tensor<Complex> dx = dy.clone();
  ops::rescale_columns(scale.view(), dy.view(), dx.view());
  test::check_gradient(f, x.view(), dx.view());
}

TEST_CASE("column scales of another width are refused") {
  const Tensor<float> x(2, 3);
  Tensor<float> y(2, 3);
  Tensor<float> row(1, 2);
  const auto refused = test::contains("shape.129: column_scale: ");
  CHECK_THROWS_WITH(ops::rescale_columns(row.view(), x.view(), y.view()), refused);
  CHECK_THROWS_WITH(ops::add_column_dots(x.view(), y.view(), row.view()), refused);
}

TEST_CASE("every column is multiplied by its gain, in place too, and the gradient is the same map") {
  const auto gain = rows_of<double>({{2, -1, 0}});
  const auto x = rows_of<double>({{1, 2, 3}, {-4, 5, 6}});
  Tensor<double> y(2, 3);
  ops::multiply_columns(gain.view(), x.view(), y.view());
  CHECK(test::identical(y.view(), rows_of<double>({{2, -2, 0}, {-8, -5, 0}}).view()));
  ops::multiply_columns(gain.view(), y.view(), y.view());
  CHECK(test::identical(y.view(), rows_of<double>({{4, 2, 0}, {-16, 5, 0}}).view()));

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
