// SPDX-License-Identifier: Apache-2.0
#include <graft/ops/select.hpp>

#include <array>
#include <vector>

#include "support/complex_step.hpp"

using namespace graft;
using test::Complex;
using test::rows_of;

namespace {
const std::vector<Index> list{2, 0, 2};  // an index may come twice
const std::span<const Index> chosen(list);
}  // namespace

TEST_CASE("gather_rows copies the listed rows in the order of the list, converted") {
  Tensor<bf16> table(3, 2);
  for (Index i = 0; i < 3; ++i) {
    table(i, 0) = bf16(static_cast<float>(i));
    table(i, 1) = bf16(static_cast<float>(10 * i));
  }
  const std::array<std::int32_t, 3> tokens{2, 0, 2};
  Tensor<float> out(3, 2);
  ops::gather_rows(table.view(), std::span<const std::int32_t>(tokens), out.view());
  CHECK(test::identical(out.view(), rows_of<float>({{2, 20}, {0, 0}, {2, 20}}).view()));
}

TEST_CASE("gather_cols copies the listed columns in the order of the list") {
  const auto from = rows_of<double>({{1, 2, 3}, {4, 5, 6}});
  Tensor<double> out(2, 3);
  ops::gather_cols(from.view(), chosen, out.view());
  CHECK(test::identical(out.view(), rows_of<double>({{3, 1, 3}, {6, 4, 6}}).view()));
}

TEST_CASE("scatter_rows replaces the listed rows and no other") {
  auto onto = rows_of<double>({{1, 1}, {2, 2}, {3, 3}});
  const std::array<Index, 2> places{2, 0};
  ops::scatter_rows(rows_of<double>({{7, 8}, {9, 10}}).view(), std::span<const Index>(places), onto.view());
  CHECK(test::identical(onto.view(), rows_of<double>({{9, 10}, {2, 2}, {7, 8}}).view()));
}

TEST_CASE("scatter_add adds alpha times each row or column, as often as it is listed") {
  auto onto = rows_of<double>({{0, 100}, {1, 1}, {5, 5}});
  const auto rows = rows_of<double>({{1, 2}, {3, 4}, {5, 6}});
  ops::scatter_add_rows(2, rows.view(), chosen, onto.view());
  CHECK(test::identical(onto.view(), rows_of<double>({{6, 108}, {1, 1}, {17, 21}}).view()));
  auto beside = rows_of<double>({{0, 1, 5}});
  ops::scatter_add_cols(2, rows_of<double>({{1, 3, 5}}).view(), chosen, beside.view());
  CHECK(test::identical(beside.view(), rows_of<double>({{6, 1, 17}}).view()));
}

TEST_CASE("scatter_add is the gradient of gather") {
  auto x = test::normal<Complex>(3, 5, 1);
  SECTION("of rows") {
    const auto dy = test::normal<Complex>(3, 5, 2);
    const auto f = [&] {
      Tensor<Complex> y(3, 5);
      ops::gather_rows(x.view(), chosen, y.view());
      return test::inner(dy.view(), y.view());
    };
    Tensor<Complex> dx(3, 5);
    ops::scatter_add_rows(1, dy.view(), chosen, dx.view());
    test::check_gradient(f, x.view(), dx.view());
  }
  SECTION("of columns") {
    const auto dy = test::normal<Complex>(3, 3, 2);
    const auto f = [&] {
      Tensor<Complex> y(3, 3);
      ops::gather_cols(x.view(), chosen, y.view());
      return test::inner(dy.view(), y.view());
    };
    Tensor<Complex> dx(3, 5);
    ops::scatter_add_cols(1, dy.view(), chosen, dx.view());
    test::check_gradient(f, x.view(), dx.view());
  }
}

TEST_CASE("an empty list moves nothing") {
  const Tensor<double> none(0, 2);
  auto onto = rows_of<double>({{1, 2}});
  ops::scatter_add_rows(1, none.view(), std::span<const Index>(), onto.view());
  CHECK(test::identical(onto.view(), rows_of<double>({{1, 2}}).view()));
}

TEST_CASE("keep_cols zeroes the columns whose bits are clear, row by row") {
  auto x = rows_of<double>({{1, 2, 3}, {4, 5, 6}, {7, 8, 9}});
  const std::array<std::uint64_t, 3> bits{0b101, 0, ~std::uint64_t{0}};
  ops::keep_cols(std::span<const std::uint64_t>(bits), x.view());
  CHECK(test::identical(x.view(), rows_of<double>({{1, 0, 3}, {0, 0, 0}, {7, 8, 9}}).view()));
  const auto refused = test::contains("shape.127: keep_cols: ");
  CHECK_THROWS_WITH(ops::keep_cols(std::span<const std::uint64_t>(bits), Tensor<double>(2, 3).view()), refused);
  CHECK_THROWS_WITH(ops::keep_cols(std::span<const std::uint64_t>(bits), Tensor<double>(3, 65).view()), refused);
}

TEST_CASE("gather and scatter refuse a wrong index, length or width") {
  const Tensor<double> rows(3, 2);
  Tensor<double> all(3, 2);
  Tensor<double> low(2, 2);
  Tensor<double> wide(3, 3);
  const std::array<Index, 3> negative{0, -1, 1};
  const std::span<const Index> bad(negative);
  const auto out_of_range = test::contains("shape.128: gather/scatter: ");
  const auto disagree = test::contains("shape.127: gather/scatter: ");
  CHECK_THROWS_WITH(ops::gather_rows(low.view(), chosen, all.view()), out_of_range);
  CHECK_THROWS_WITH(ops::gather_rows(rows.view(), bad, all.view()), out_of_range);
  CHECK_THROWS_WITH(ops::gather_rows(rows.view(), chosen, low.view()), disagree);
  CHECK_THROWS_WITH(ops::gather_rows(rows.view(), chosen, wide.view()), disagree);
  CHECK_THROWS_WITH(ops::scatter_rows(rows.view(), chosen, low.view()), out_of_range);
  CHECK_THROWS_WITH(ops::scatter_rows(rows.view(), chosen, wide.view()), disagree);
  CHECK_THROWS_WITH(ops::scatter_add_rows(1, rows.view(), bad, all.view()), out_of_range);
  CHECK_THROWS_WITH(ops::scatter_add_rows(1, rows.view(), chosen, wide.view()), disagree);
  CHECK_THROWS_WITH(ops::gather_cols(rows.view(), chosen, wide.view()), out_of_range);
  CHECK_THROWS_WITH(ops::gather_cols(wide.view(), chosen, low.view()), disagree);
  CHECK_THROWS_WITH(ops::gather_cols(low.view(), std::span<const Index>(), Tensor<double>(3, 0).view()), disagree);
  CHECK_THROWS_WITH(ops::scatter_add_cols(1, wide.view(), bad, wide.view()), out_of_range);
  CHECK_THROWS_WITH(ops::scatter_add_cols(1, rows.view(), chosen, wide.view()), disagree);
}
