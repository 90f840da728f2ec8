// SPDX-License-Identifier: Apache-2.0
#include <graft/linalg/items.hpp>

#include <graft/backends/reference.hpp>

#include "linalg/golden.hpp"
#include "support/catch.hpp"

using namespace graft;

namespace {

/// All that a selection asks of items, held against the matrix whose rows they are.
template <class Items>
void check_items(const Items& items, const Tensor<double>& rows) {
  using Number = typename Items::Number;
  REQUIRE(items.count() == rows.rows());
  REQUIRE(items.length() == rows.cols());
  const std::vector<double> norms = items.squared_norms();
  for (Index i = 0; i < rows.rows(); ++i) {
    double sum = 0;
    for (Index j = 0; j < rows.cols(); ++j) {
      sum += rows(i, j) * rows(i, j);
    }
    CHECK(std::abs(norms[static_cast<std::size_t>(i)] - sum) < 1e-13 * sum);
  }
  const std::vector<std::int32_t> list = {5, 0, 301};
  Tensor<Number> chosen(3, rows.cols());
  items.gather(list, chosen.view());
  Tensor<Number> products(3, rows.rows());
  linalg::multiply(backends::Reference{}, items, std::as_const(chosen).view(), products.view());
  Tensor<Number> room = Items::room(3, 9);  // numbers 20 to 28 of the last two of the list
  items.gather_part(std::span(list).subspan(1), 20, Items::part_of(room, 1, 2, 9));
  Tensor<Number> ones(1, 9);
  backends::Reference{}.fill(Number{1}, ones.view());
  Tensor<Number> sums(1, 2);
  Items::multiply_part(backends::Reference{}, std::as_const(ones).view(),
                       View<const Number>(Items::part_of(room, 1, 2, 9)), Number{0}, sums.view());
  const double eps = std::numeric_limits<Number>::epsilon();
  for (Index j = 0; j < rows.cols(); ++j) {
    for (Index i = 0; i < 3; ++i) {
      CHECK(static_cast<double>(chosen(i, j)) == rows(list[static_cast<std::size_t>(i)], j));
    }
  }
  for (Index i = 0; i < 2; ++i) {
    double sum = 0;
    for (Index j = 20; j < 29; ++j) {
      sum += rows(list[static_cast<std::size_t>(i + 1)], j);
    }
    CHECK(std::abs(static_cast<double>(sums(0, i)) - sum) < 100 * eps);
  }
  for (Index i = 0; i < rows.rows(); ++i) {
    double sum = 0;
    double scale = 0;
    for (Index j = 0; j < rows.cols(); ++j) {
      sum += rows(301, j) * rows(i, j);
      scale += std::abs(rows(301, j) * rows(i, j));
    }
    CHECK(std::abs(static_cast<double>(products(2, i)) - sum) < static_cast<double>(rows.cols()) * eps * scale);
  }
}

template <class S>
void check_both() {
  const Tensor<double> drawn = test::gaussian<double>(310, 37, Random(1));
  Tensor<S> weight(310, 37);
  Tensor<S> turned(37, 310);
  Tensor<double> exact(310, 37);
  for (Index i = 0; i < 310; ++i) {
    for (Index j = 0; j < 37; ++j) {
      weight(i, j) = S(static_cast<float>(drawn(i, j)));
      turned(j, i) = weight(i, j);
      exact(i, j) = to<double>(weight(i, j));
    }
  }
  check_items(linalg::RowItems<S>{std::as_const(weight).view()}, exact);
  check_items(linalg::ColumnItems<S>{std::as_const(turned).view()}, exact);
}

}  // namespace

TEST_CASE("rows of a weight and columns of its transpose are the same items, in every precision", "[linalg]") {
  check_both<double>();
  check_both<float>();
  check_both<bf16>();
}
