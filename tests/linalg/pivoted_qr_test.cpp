// SPDX-License-Identifier: Apache-2.0
#include <graft/linalg/pivoted_qr.hpp>

#include <atomic>
#include <cmath>
#include <concepts>
#include <limits>
#include <set>
#include <string>
#include <vector>

#include <graft/backends/reference.hpp>
#include <graft/linalg/eigen.hpp>

#include "linalg/golden.hpp"
#include "support/catch.hpp"

using namespace graft;

namespace {

constexpr backends::Reference be;

/// |diag R| of two stable algorithms agree to some eps times the length of the sums, relative to the largest.
double diagonal_tolerance(Index rows, Index cols) {
  return 8 * std::numeric_limits<double>::epsilon() * static_cast<double>(rows + cols);
}

double in_float(Index rows, Index cols) {
  return diagonal_tolerance(rows, cols) * std::numeric_limits<float>::epsilon() /
         std::numeric_limits<double>::epsilon();
}

/// The plain greedy loop: subtract the pivot's direction from every column, twice, and measure all columns again.
linalg::Pivots plain_greedy(View<const double> a, Index k) {
  Eigen::MatrixXd left = linalg::to_eigen_double(a);
  linalg::Pivots found;
  std::vector<bool> used(static_cast<std::size_t>(a.cols), false);
  for (Index t = 0; t < k; ++t) {
    Index best = -1;
    for (Index j = 0; j < a.cols; ++j) {
      if (!used[static_cast<std::size_t>(j)] && (best < 0 || left.col(j).norm() > left.col(best).norm())) {
        best = j;
      }
    }
    used[static_cast<std::size_t>(best)] = true;
    found.order.push_back(static_cast<std::int32_t>(best));
    found.abs_diag.push_back(left.col(best).norm());
    const Eigen::VectorXd direction = left.col(best).normalized();
    for (int twice = 0; twice < 2; ++twice) {
      left -= direction * (direction.transpose() * left).eval();
    }
  }
  return found;
}

void check_equal(const linalg::Pivots& found, const linalg::Pivots& expected, double tolerance) {
  REQUIRE(found.order == expected.order);
  REQUIRE(found.abs_diag.size() == expected.abs_diag.size());
  for (std::size_t i = 0; i < found.order.size(); ++i) {
    CHECK(std::abs(found.abs_diag[i] - expected.abs_diag[i]) <= tolerance * expected.abs_diag[0]);
  }
}

linalg::Pivots lapack(const io::Safetensors& file, const std::string& name, std::size_t k) {
  const auto order = io::read_integers(file.at(name + ".pivots"));
  const Tensor<double> diagonal = test::read_matrix(file, name + ".abs_diag");
  linalg::Pivots expected;
  for (std::size_t i = 0; i < k; ++i) {
    expected.order.push_back(static_cast<std::int32_t>(order[i]));
    expected.abs_diag.push_back(diagonal.data()[i]);
  }
  return expected;
}

/// Columns whose length falls by `decades` powers of ten from the first to the last, in a scrambled order.
Tensor<double> graded(Index rows, Index cols, double decades, Random random) {
  Tensor<double> a = test::gaussian<double>(rows, cols, random);
  for (Index j = 0; j < cols; ++j) {
    const double scale = std::pow(10.0, -decades * static_cast<double>((j * 7) % cols) / static_cast<double>(cols - 1));
    for (Index i = 0; i < rows; ++i) {
      a(i, j) *= scale;
    }
  }
  return a;
}

/// Says that it multiplies bf16, and counts such products.
struct Native : backends::Reference {
  std::atomic<Index>* products = nullptr;

  [[nodiscard]] static constexpr bool multiplies_bf16() { return true; }

  template <class A, class T, class C>
  void gemm_nt(Same<C> alpha, View<A> a, View<T> b, Same<C> beta, View<C> c) const {
    *products += std::same_as<std::remove_const_t<A>, bf16> && std::same_as<std::remove_const_t<T>, bf16> ? 1 : 0;
    Reference::gemm_nt(alpha, a, b, beta, c);
  }
  template <class A, class T, class C>
  void gemm_nn(Same<C> alpha, View<A> a, View<T> b, Same<C> beta, View<C> c) const {
    *products += std::same_as<std::remove_const_t<A>, bf16> && std::same_as<std::remove_const_t<T>, bf16> ? 1 : 0;
    Reference::gemm_nn(alpha, a, b, beta, c);
  }
};

}  // namespace

TEST_CASE("column_pivots takes the columns that LAPACK's geqp3 takes, index by index", "[linalg][golden]") {
  const auto file = test::linalg_golden("pivots");
  const std::string name = GENERATE(std::string("random-64x48"), "wide-33x80", "lowrank-noise-50x70", "graded-40x40",
                                    "tall-300x200", "one-row-1x9", "one-column-9x1", "skeleton-5x4", "bf16-48x64");
  const Tensor<double> a = test::read_matrix(file, name + ".matrix");
  const Index k = std::min(a.rows(), a.cols());
  INFO(name);
  check_equal(linalg::column_pivots(be, a.view(), k), lapack(file, name, static_cast<std::size_t>(k)),
              diagonal_tolerance(a.rows(), a.cols()));
}

TEST_CASE("row_pivots of a matrix are column_pivots of its transpose", "[linalg][golden]") {
  const auto file = test::linalg_golden("pivots");
  const Tensor<double> a = test::read_matrix(file, "tall-300x200.matrix");
  check_equal(linalg::row_pivots(be, test::transposed(a.view()).view(), 200), lapack(file, "tall-300x200", 200),
              diagonal_tolerance(300, 200));
}

TEST_CASE("fewer pivots are the first of more pivots", "[linalg][golden]") {
  const auto file = test::linalg_golden("pivots");
  const Tensor<double> a = test::read_matrix(file, "wide-33x80.matrix");
  for (const Index k : {0, 1, 7, 32}) {
    check_equal(linalg::column_pivots(be, a.view(), k), lapack(file, "wide-33x80", static_cast<std::size_t>(k)),
                diagonal_tolerance(33, 80));
  }
}

TEST_CASE("among equal columns the first is taken, and the diagonal is LAPACK's", "[linalg][golden]") {
  const auto file = test::linalg_golden("pivots");
  const Tensor<double> a = test::read_matrix(file, "ties-12x10.matrix");  // column 7 = column 2, 4 = -1, 9 = 0: rank 7
  const linalg::Pivots found = linalg::column_pivots(be, a.view(), 7);
  linalg::Pivots expected = lapack(file, "ties-12x10", 7);
  for (std::int32_t& index : expected.order) {
    index = index == 7 ? 2 : index == 4 ? 1 : index;
  }
  check_equal(found, expected, diagonal_tolerance(12, 10));
  CHECK(std::set<std::int32_t>(found.order.begin(), found.order.end()).size() == 7);
}

TEST_CASE("a pivot beyond the rank is refused with its number and the rank", "[linalg][golden]") {
  const Tensor<double> ties = test::read_matrix(test::linalg_golden("pivots"), "ties-12x10.matrix");
  CHECK_THROWS_WITH(linalg::column_pivots(be, ties.view(), 8, "layers.3.q_proj"),
                    test::contains("adapter.660") &&
                        test::contains("rank of the weight is 7, so pivot 8 of 8 would be arbitrary") &&
                        test::contains("[layers.3.q_proj]"));
  const Tensor<double> zero(4, 5);
  CHECK_THROWS_WITH(linalg::row_pivots(be, zero.view(), 1), test::contains("rank of the weight is 0, so pivot 1 of 1"));
}

TEST_CASE("more pivots than the matrix has rows or columns are refused", "[linalg]") {
  const Tensor<double> a = test::gaussian<double>(4, 6, Random(1));
  CHECK_THROWS_WITH(linalg::column_pivots(be, a.view(), 5, "W0"),
                    test::contains("shape.160") &&
                        test::contains("at most min(rows, cols) = 4 pivots of a 4 x 6 weight, found 5 [W0]"));
  CHECK_THROWS_WITH(linalg::row_pivots(be, a.view(), -1), test::contains("shape.160"));
}

TEST_CASE("a weight that holds NaN, infinity or overflows when squared is refused", "[linalg]") {
  const double bad = GENERATE(std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity(), 1e200);
  Tensor<double> a = test::gaussian<double>(4, 6, Random(2));
  a(2, 3) = bad;
  CHECK_THROWS_WITH(linalg::column_pivots(be, a.view(), 2, "W0"),
                    test::contains("adapter.661") && test::contains("[W0]"));
  Tensor<float> tiny(4, 6);
  tiny(2, 3) = 1e-20f;  // its square is no normal float
  CHECK_THROWS_WITH(linalg::row_pivots(be, tiny.view(), 1), test::contains("adapter.661") && test::contains("vanish"));
}

TEST_CASE("pivots stay those of the plain greedy loop when columns fall by ten decades", "[linalg]") {
  const Index rows = GENERATE(30, 90);
  const Tensor<double> a = graded(rows, 41, 10, Random(3));
  const Index k = std::min<Index>(rows, 41);
  check_equal(linalg::column_pivots(be, a.view(), k), plain_greedy(a.view(), k), diagonal_tolerance(rows, 41));
}

TEST_CASE("pivots stay those of the plain greedy loop down to residuals of 1e-9 in a nearly rank-deficient matrix",
          "[linalg]") {
  const Index n = 60;
  const Index m = 150;
  const Index rank = 12;
  const Tensor<double> left = test::gaussian<double>(n, rank, Random(4));
  const Tensor<double> right = test::gaussian<double>(rank, m, Random(4, 1));
  Tensor<double> a = test::gaussian<double>(n, m, Random(4, 2));
  auto sum = linalg::as_eigen(a.view());
  sum = 1e-9 * sum + linalg::as_eigen(left.view()) * linalg::as_eigen(right.view());
  const linalg::Pivots found = linalg::column_pivots(be, a.view(), 40);
  CHECK(found.abs_diag[11] > 1e-2);
  CHECK(found.abs_diag[12] < 1e-7);
  check_equal(found, plain_greedy(a.view(), 40), diagonal_tolerance(n, m));
}

TEST_CASE("the first of many columns that tie but for rounding is taken, though others seem to have more left",
          "[linalg]") {
  Tensor<double> a(8, 600);
  for (Index j = 0; j < 600; ++j) {
    a(j % 8, j) = 1 + 1e-14 * static_cast<double>(j);
  }
  CHECK(linalg::column_pivots(be, a.view(), 1).order == std::vector<std::int32_t>{0});
  CHECK(linalg::column_pivots(be, a.view(), 3).order == std::vector<std::int32_t>{0, 1, 2});
}

TEST_CASE("blocks of candidates that are formed, dropped and formed again change no pivot", "[linalg]") {
  const Tensor<double> a = test::gaussian<double>(420, 1300, Random(9));
  const linalg::Pivots found = linalg::column_pivots(be, a.view(), 420);
  const linalg::Pivots expected = plain_greedy(a.view(), 420);
  check_equal(found, expected, diagonal_tolerance(420, 1300));
}

TEST_CASE("pivots are the same for pools of any size: one item, fewer than pivots, all items", "[linalg]") {
  const Index pool = GENERATE(1, 3, 20, 400);
  const auto in_pools = [&](const Tensor<double>& a, Index k) {
    return linalg::detail::GreedySelection(be, linalg::ColumnItems<double>{a.view()}, pool).select(k, "a");
  };
  INFO("a pool of " << pool);
  const Tensor<double> even = test::gaussian<double>(60, 300, Random(9));  // items outside overtake those of the pool
  check_equal(in_pools(even, 60), plain_greedy(even.view(), 60), diagonal_tolerance(60, 300));
  const Tensor<double> uneven = graded(60, 300, 1, Random(9));  // most items are never brought up to date
  check_equal(in_pools(uneven, 40), plain_greedy(uneven.view(), 40), diagonal_tolerance(60, 300));
  const Tensor<double> steep = graded(60, 100, 10, Random(9));  // all are measured anew, while a pool is open
  check_equal(in_pools(steep, 60), plain_greedy(steep.view(), 60), diagonal_tolerance(60, 100));
  Tensor<double> ties(8, 40);
  for (Index j = 0; j < 40; ++j) {
    ties(j % 8, j) = 1;
  }
  CHECK(in_pools(ties, 8).order == std::vector<std::int32_t>{0, 1, 2, 3, 4, 5, 6, 7});
  Tensor<double> flat(9, 40);
  be.copy(std::as_const(ties).view(), flat.view().middle_rows(0, 8));
  CHECK_THROWS_WITH(in_pools(flat, 9), test::contains("rank of the weight is 8, so pivot 9 of 9"));
}

TEST_CASE("one huge column does not hide the order of the others", "[linalg]") {
  Tensor<double> a = test::gaussian<double>(50, 120, Random(5));
  for (Index i = 0; i < 50; ++i) {
    a(i, 77) *= 1e7;
  }
  const linalg::Pivots found = linalg::column_pivots(be, a.view(), 50);
  CHECK(found.order[0] == 77);
  check_equal(found, plain_greedy(a.view(), 50), diagonal_tolerance(50, 120));
}

TEST_CASE("float and bf16 weights, summed in float, have the pivots of their exact values in double", "[linalg]") {
  const Tensor<float> a = test::gaussian<float>(40, 70, Random(6));
  Tensor<bf16> rounded(40, 70);
  Tensor<double> exact(40, 70);
  Tensor<double> exact_rounded(40, 70);
  for (Index i = 0; i < a.size(); ++i) {
    rounded.data()[i] = bf16(a.data()[i]);
    exact.data()[i] = a.data()[i];
    exact_rounded.data()[i] = static_cast<float>(rounded.data()[i]);
  }
  check_equal(linalg::column_pivots(be, a.view(), 40), plain_greedy(exact.view(), 40), in_float(40, 70));
  check_equal(linalg::row_pivots(be, a.view(), 40), plain_greedy(test::transposed<double>(exact.view()).view(), 40),
              in_float(40, 70));
  check_equal(linalg::column_pivots(be, rounded.view(), 40), plain_greedy(exact_rounded.view(), 40), in_float(40, 70));
  check_equal(linalg::row_pivots(be, rounded.view(), 40),
              plain_greedy(test::transposed<double>(exact_rounded.view()).view(), 40), in_float(40, 70));
}

TEST_CASE("in float, too, the pivots of graded and of nearly rank-deficient matrices are those of the plain loop",
          "[linalg]") {
  const Index n = 90;
  const Index m = 150;
  const auto check = [&](const Tensor<double>& exact, Index k) {
    Tensor<float> a(exact.rows(), exact.cols());
    Tensor<bf16> narrow(exact.rows(), exact.cols());
    Tensor<double> stored(exact.rows(), exact.cols());
    Tensor<double> stored_narrow(exact.rows(), exact.cols());
    for (Index i = 0; i < a.size(); ++i) {
      a.data()[i] = static_cast<float>(exact.data()[i]);
      narrow.data()[i] = bf16(a.data()[i]);
      stored.data()[i] = a.data()[i];
      stored_narrow.data()[i] = static_cast<float>(narrow.data()[i]);
    }
    check_equal(linalg::column_pivots(be, a.view(), k), plain_greedy(stored.view(), k),
                in_float(exact.rows(), exact.cols()));
    check_equal(linalg::column_pivots(be, narrow.view(), k), plain_greedy(stored_narrow.view(), k),
                in_float(exact.rows(), exact.cols()));
  };
  check(graded(n, 41, 6, Random(3)), 30);
  Tensor<double> deficient = test::gaussian<double>(n, m, Random(8));
  const Tensor<double> left = test::gaussian<double>(n, 5, Random(8, 1));
  const Tensor<double> right = test::gaussian<double>(5, m, Random(8, 2));
  auto sum = linalg::as_eigen(deficient.view());
  sum = 1e-3 * sum + linalg::as_eigen(left.view()) * linalg::as_eigen(right.view());
  check(deficient, 20);
}

TEST_CASE("where a backend multiplies bf16, it gets the weight's own numbers for the same pivots", "[linalg]") {
  std::atomic<Index> products = 0;
  Native native;
  native.products = &products;
  const auto check = [&](const Tensor<double>& a, Index k) {
    Tensor<bf16> w(a.rows(), a.cols());
    for (Index i = 0; i < a.size(); ++i) {
      w.data()[i] = bf16(static_cast<float>(a.data()[i]));
    }
    products = 0;
    check_equal(linalg::column_pivots(native, w.view(), k), linalg::column_pivots(be, w.view(), k),
                in_float(a.rows(), a.cols()));
    CHECK(products.exchange(0) > 0);
    check_equal(linalg::row_pivots(native, w.view(), k), linalg::row_pivots(be, w.view(), k),
                in_float(a.rows(), a.cols()));
    CHECK(products > 0);
  };
  check(test::gaussian<double>(40, 70, Random(6)), 40);
  check(test::gaussian<double>(70, 1300, Random(7)), 70);  // more columns than a pool: some are brought up to date
  check(test::gaussian<double>(1300, 70, Random(7)), 70);  // rows, too
  check(graded(90, 41, 6, Random(3)), 30);                 // digits run out, and float goes on
}

TEST_CASE("the worked skeleton: J = [3,2], K = [3,1], in both modes", "[linalg][golden]") {
  const Tensor<double> w = test::read_matrix(test::linalg_golden("orthonormal"), "pmss.W0");
  const std::vector<std::int32_t> columns = {3, 2};
  const std::vector<std::int32_t> rows = {3, 1};
  CHECK(linalg::column_pivots(be, w.view(), 2).order == columns);
  const linalg::Pivots independent = linalg::row_pivots(be, w.view(), 3);
  CHECK(independent.order == std::vector<std::int32_t>{3, 1, 0});
  const std::vector<double> diagonal = {std::sqrt(41.0), std::sqrt(35.0 - 49.0 / 41.0), 3.296003};  // methods.md D.6
  for (std::size_t i = 0; i < 3; ++i) {
    CHECK(std::abs(independent.abs_diag[i] - diagonal[i]) < 0.5e-6);
  }
  const linalg::Skeletons both = linalg::two_stage(be, w.view(), 2, 2);
  CHECK(both.columns.order == columns);
  CHECK(both.rows.order == rows);
}

TEST_CASE("two_stage takes its rows from the panel of chosen columns, not from the whole matrix", "[linalg]") {
  const Tensor<double> w = test::gaussian<double>(20, 30, Random(7));
  const linalg::Skeletons both = linalg::two_stage(be, w.view(), 4, 3);
  Tensor<double> panel(20, 4);
  for (Index i = 0; i < 20; ++i) {
    for (Index j = 0; j < 4; ++j) {
      panel(i, j) = w(i, both.columns.order[static_cast<std::size_t>(j)]);
    }
  }
  check_equal(both.columns, plain_greedy(w.view(), 4), diagonal_tolerance(20, 30));
  check_equal(both.rows, plain_greedy(test::transposed<double>(panel.view()).view(), 3), diagonal_tolerance(20, 4));
  CHECK(both.rows.order != linalg::row_pivots(be, w.view(), 3).order);
  CHECK_THROWS_WITH(linalg::two_stage(be, w.view(), 4, 5), test::contains("shape.160"));
}
