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
