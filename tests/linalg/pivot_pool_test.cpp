// SPDX-License-Identifier: Apache-2.0
#include <graft/linalg/pivot_pool.hpp>

#include <cmath>

#include <graft/backends/reference.hpp>

#include "linalg/golden.hpp"
#include "support/catch.hpp"

using namespace graft;

TEST_CASE("a pool's factor of its own items is that of Cholesky in the order of choice, and says what they have left",
          "[linalg]") {
  constexpr backends::Reference be;
  const Tensor<double> w = test::gaussian<double>(90, 50, Random(1));
  const linalg::RowItems<double> items{w.view()};
  std::vector<double> left = items.squared_norms();
  const std::vector<double> whole = left;
  const Tensor<double> nothing(90, 0);
  std::vector<std::int32_t> list;
  for (std::int32_t i = 5; i < 85; i += 2) {  // 40 items: more than one product forms
    list.push_back(i);
  }
  linalg::detail::PivotPool<linalg::RowItems<double>> pool(items, 40, 40);
  CHECK_FALSE(pool.holds(5));
  pool.fill(list, nothing.view());
  CHECK(pool.holds(5));
  CHECK_FALSE(pool.holds(6));
  for (const std::int32_t pivot : list) {
    pool.choose(be, pivot, 40, View<const double>(), left);
  }
  const View<const double> factor = pool.factor();
  REQUIRE(factor.rows == 40);
  for (Index i = 0; i < pool.size(); ++i) {
    for (Index j = 0; j <= i; ++j) {
      double product = 0;
      double expected = 0;
      for (Index s = 0; s < 40; ++s) {
        product += factor(s, i) * factor(s, j);
      }
      for (Index m = 0; m < 50; ++m) {
        expected += w(pool.item(i), m) * w(pool.item(j), m);
      }
      CHECK(std::abs(product - expected) < 1e-12 * whole[0]);
    }
    CHECK(left[static_cast<std::size_t>(pool.item(i))] == 0);
  }
  CHECK(left[6] == whole[6]);
}
