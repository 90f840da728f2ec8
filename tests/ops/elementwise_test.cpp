// SPDX-License-Identifier: Apache-2.0
#include <graft/ops/elementwise.hpp>

#include "support/complex_step.hpp"

using namespace graft;
using test::Complex;
using test::rows_of;

TEST_CASE("copy converts every element once") {
  const auto x = rows_of<float>({{1, 1.00390625}, {1.01171875, -2}});  // the second and third lie halfway in bf16
  Tensor<bf16> stored(2, 2);
  ops::copy(x.view(), stored.view());
  CHECK(test::identical(stored.view(), rows_of<float>({{1, 1}, {1.015625, -2}}).view()));
  Tensor<double> wide(2, 2);
  ops::copy(stored.view(), wide.view());
  CHECK(test::identical(wide.view(), stored.view()));
}

TEST_CASE("fill, add, scale and add_bias do what their names say, on strided views") {
  auto y = rows_of<double>({{1, 2, 3}, {4, 5, 6}});
  const auto part = y.view().middle_cols(1, 2);
  ops::add(10, rows_of<double>({{1, 2}, {3, 4}}).view(), part);
  CHECK(test::identical(y.view(), rows_of<double>({{1, 12, 23}, {4, 35, 46}}).view()));
  ops::scale(2, part);
  CHECK(test::identical(y.view(), rows_of<double>({{1, 24, 46}, {4, 70, 92}}).view()));
  ops::add_bias(rows_of<float>({{-4, 4}}).view(), part);
  CHECK(test::identical(y.view(), rows_of<double>({{1, 20, 50}, {4, 66, 96}}).view()));
  ops::add_bias(2, rows_of<double>({{1, 2}}).view(), part);
  CHECK(test::identical(y.view(), rows_of<double>({{1, 22, 54}, {4, 68, 100}}).view()));
  ops::fill(-1, part);
  CHECK(test::identical(y.view(), rows_of<double>({{1, -1, -1}, {4, -1, -1}}).view()));
}

TEST_CASE("add_column_sums adds alpha times the sum of the rows") {
  const auto y = rows_of<double>({{1, 2}, {3, 4}, {5, 6}});
  auto sum = rows_of<double>({{100, 200}});
  ops::add_column_sums(2, y.view(), sum.view());
  CHECK(test::identical(sum.view(), rows_of<double>({{118, 224}}).view()));
}

TEST_CASE("add_column_sums is the gradient of a bias") {
  auto bias = test::normal<Complex>(1, 5, 1);
  const auto dy = test::normal<Complex>(3, 5, 2);
  const auto f = [&] {
    Tensor<Complex> y(3, 5);
    ops::add_bias(bias.view(), y.view());
    return test::inner(dy.view(), y.view());
  };
  Tensor<Complex> gradient(1, 5);
  ops::add_column_sums(1, dy.view(), gradient.view());
  test::check_gradient(f, bias.view(), gradient.view());
}

TEST_CASE("squared_norm sums squares in double whatever it is given") {
  CHECK(ops::squared_norm(rows_of<double>({{3, 4}, {0, 12}}).view()) == 169);
  CHECK(ops::squared_norm(rows_of<float>({{4096, 1}}).view()) == 16777217.0);  // float would round to 2^24
  CHECK(ops::squared_norm(rows_of<float>({{1e30, 0}}).view()) > 0.9e60);
}

TEST_CASE("dropout zeroes the given share, scales what it keeps, and keeps the mean") {
  const Index count = 100000;
  const double rate = GENERATE(0.1, 0.5);
  Tensor<double> x(1, count);
  ops::fill(1, x.view());
  ops::dropout(rate, Random(7), 0, x.view(), x.view());
  double mean = 0;
  for (Index j = 0; j < count; ++j) {
    const bool known = x(0, j) == 0 || x(0, j) == 1 / (1 - rate);
    REQUIRE(known);
    mean += x(0, j) / static_cast<double>(count);
  }
  const double deviation = std::sqrt(rate / (1 - rate) / static_cast<double>(count));
  CHECK(std::abs(mean - 1) < 5 * deviation);
}

TEST_CASE("dropout of a block equals the block of the dropout of the whole") {
  const auto x = test::normal<float>(6, 5, 1);
  Tensor<float> whole(6, 5);
  Tensor<float> part(2, 5);
  ops::dropout(0.5, Random(3), 0, x.view(), whole.view());
  ops::dropout(0.5, Random(3), 4, x.view().middle_rows(4, 2), part.view());
  CHECK(test::identical(part.view(), whole.view().middle_rows(4, 2)));
  ops::dropout(0.5, Random(4), 4, x.view().middle_rows(4, 2), part.view());
  CHECK_FALSE(test::identical(part.view(), whole.view().middle_rows(4, 2)));
}

TEST_CASE("dropout at rate 0 changes nothing") {
  const auto x = test::normal<float>(3, 4, 1);
  Tensor<float> y(3, 4);
  ops::dropout(0, Random(1), 0, x.view(), y.view());
  CHECK(test::identical(y.view(), x.view()));
}

TEST_CASE("dropout is its own gradient") {
  auto x = test::normal<Complex>(3, 7, 1);
  const auto dy = test::normal<Complex>(3, 7, 2);
  const auto f = [&] {
    Tensor<Complex> y(3, 7);
    ops::dropout(0.4, Random(9), 2, x.view(), y.view());
    return test::inner(dy.view(), y.view());
  };
  auto dx = dy.clone();
  ops::dropout(0.4, Random(9), 2, dx.view(), dx.view());
  test::check_gradient(f, x.view(), dx.view());
}

TEST_CASE("elementwise operations refuse shapes that disagree") {
  const Tensor<float> x(2, 3);
  Tensor<float> y(3, 2);
  const auto refused = test::contains("shape.129: elementwise: ");
  CHECK_THROWS_WITH(ops::copy(x.view(), y.view()), refused);
  CHECK_THROWS_WITH(ops::add(1, x.view(), y.view()), refused);
  CHECK_THROWS_WITH(ops::dropout(0.5, Random(1), 0, x.view(), y.view()), refused);
  CHECK_THROWS_WITH(ops::add_bias(x.view().middle_rows(0, 1), y.view()), test::contains("shape.129: add_bias: "));
  CHECK_THROWS_WITH(ops::add_column_sums(1, x.view(), y.view()), test::contains("shape.129: add_column_sums: "));
}

TEST_CASE("a norm for each row, and the inverse of each number but zero") {
  Tensor<double> norms(1, 2);
  ops::row_norms(rows_of<double>({{3, 4}, {0, 0}}).view(), norms.view());
  CHECK(norms(0, 0) == 5);
  CHECK(norms(0, 1) == 0);
  ops::invert(norms.view());
  CHECK(norms(0, 0) == 0.2);
  CHECK(norms(0, 1) == 0);
}
