// SPDX-License-Identifier: Apache-2.0
#include <graft/ops/rope.hpp>

#include <array>

#include "support/complex_step.hpp"

using namespace graft;
using test::Complex;
using test::rows_of;

namespace {
template <scalar T>
Tensor<T> rotations(std::span<const Index> positions, std::span<const double> frequencies) {
  Tensor<T> table(static_cast<Index>(positions.size()), 2 * static_cast<Index>(frequencies.size()));
  ops::rope_rotations(positions, frequencies, table.view());
  return table;
}
}  // namespace

TEST_CASE("rope turns the pair (i, i + K/2) of every head by position times frequency") {
  const std::array<Index, 2> positions{0, 3};
  const std::array<double, 2> frequencies{1.0, 0.1};
  const auto table = rotations<double>(positions, frequencies);
  auto x = rows_of<double>({{1, 2, 3, 4, 5, 6, 7, 8}, {1, 0, 0, 0, 0, 0, 0, 1}});  // two heads of width 4
  const auto before = x.clone();
  ops::rope(ops::Turn::forward, table.view(), x.view());
  CHECK(test::identical(x.view().middle_rows(0, 1), before.view().middle_rows(0, 1)));  // position 0 turns nothing
  const auto expected = rows_of<double>({{std::cos(3), 0, std::sin(3), 0, 0, -std::sin(0.3), 0, std::cos(0.3)}});
  CHECK(test::relative_error(x.view().middle_rows(1, 1), expected.view()) <= 4 * test::epsilon<double>);
}

TEST_CASE("rope turned back restores its input") {
  const std::array<Index, 3> positions{5, 0, 1000};
  const std::array<double, 3> frequencies{1.0, 0.3, 0.01};
  const auto table = rotations<double>(positions, frequencies);
  auto x = test::normal<double>(3, 12, 1);
  const auto before = x.clone();
  ops::rope(ops::Turn::forward, table.view(), x.view());
  CHECK(test::relative_error(x.view(), before.view()) > 0.1);
  ops::rope(ops::Turn::back, table.view(), x.view());
  CHECK(test::relative_error(x.view(), before.view()) <= 8 * test::epsilon<double>);
}

TEST_CASE("after rope the product of a query and a key depends on their distance only") {
  const std::array<Index, 4> positions{2, 5, 102, 105};
  const std::array<double, 2> frequencies{1.0, 0.05};
  const auto table = rotations<double>(positions, frequencies);
  const auto vector = test::normal<double>(2, 4, 7);
  Tensor<double> x(4, 4);
  for (Index t = 0; t < 4; ++t) {
    for (Index j = 0; j < 4; ++j) {
      x(t, j) = vector(t % 2, j);
    }
  }
  ops::rope(ops::Turn::forward, table.view(), x.view());
  double near = 0;
  double far = 0;
  for (Index j = 0; j < 4; ++j) {
    near += x(0, j) * x(1, j);
    far += x(2, j) * x(3, j);
  }
  CHECK(near == Approx(far).epsilon(105 * 8 * test::epsilon<double>));  // angles of size 105 carry that many roundings
}

TEST_CASE("the turn back is the gradient of rope") {
  const std::array<Index, 3> positions{0, 4, 9};
  const std::array<double, 3> frequencies{1.0, 0.2, 0.04};
  const auto table = rotations<Complex>(positions, frequencies);
  auto x = test::normal<Complex>(3, 12, 1);
  const auto dy = test::normal<Complex>(3, 12, 2);
  const auto f = [&] {
    auto y = x.clone();
    ops::rope(ops::Turn::forward, table.view(), y.view());
    return test::inner(dy.view(), y.view());
  };
  auto dx = dy.clone();
  ops::rope(ops::Turn::back, table.view(), dx.view());
  test::check_gradient(f, x.view(), dx.view());
}

TEST_CASE("rope refuses tables that do not fit") {
  const std::array<Index, 2> positions{0, 1};
  const std::array<double, 2> frequencies{1.0, 0.1};
  Tensor<float> table(2, 4);
  Tensor<float> narrow(2, 3);
  Tensor<float> longer(3, 4);
  Tensor<float> x(2, 6);
  CHECK_THROWS_WITH(ops::rope_rotations<float>(positions, frequencies, narrow.view()),
                    test::contains("shape.122: rope_rotations: "));
  CHECK_THROWS_WITH(ops::rope_rotations<float>(positions, frequencies, longer.view()), test::contains("shape.122"));
  CHECK_THROWS_WITH(ops::rope(ops::Turn::forward, table.view(), x.view()), test::contains("shape.122: rope: "));
  CHECK_THROWS_WITH(ops::rope(ops::Turn::forward, table.view(), longer.view()), test::contains("shape.122"));
}
