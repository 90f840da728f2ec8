// SPDX-License-Identifier: Apache-2.0
#include <graft/linalg/kept_energy.hpp>

#include <graft/backends/reference.hpp>
#include <graft/linalg/pivoted_qr.hpp>

#include "linalg/golden.hpp"
#include "support/catch.hpp"

using namespace graft;

namespace {
constexpr backends::Reference by_loops;
}

TEST_CASE("the share that columns and rows keep is that of the projected matrix, and a column given twice adds nothing",
          "[linalg]") {
  Tensor<double> w(2, 3);  // columns (3,0), (0,4), (0,0); 25 in all
  w(0, 0) = 3;
  w(1, 1) = 4;
  const auto check = [&](const std::vector<std::int32_t>& j, const std::vector<std::int32_t>& k, double columns,
                         double rows, double both) {
    const linalg::KeptEnergy kept = linalg::kept_energy(by_loops, std::as_const(w).view(), j, k);
    CHECK(std::abs(kept.columns - columns) < 1e-15);
    CHECK(std::abs(kept.rows - rows) < 1e-15);
    CHECK(std::abs(kept.both - both) < 1e-15);
  };
  check({0}, {0}, 0.36, 0.36, 0.36);
  check({1, 1}, {0}, 0.64, 0.36, 0);
  check({1, 0}, {1, 0}, 1, 1, 1);
  check({2}, {0}, 0, 0.36, 0);
}

TEST_CASE("what pivots leave is the sum of what each column has left, in float and bf16, too", "[linalg]") {
  const Tensor<double> a = test::gaussian<double>(60, 90, Random(1));
  Tensor<bf16> narrow(60, 90);
  Tensor<float> wide(60, 90);
  Tensor<double> exact(60, 90);
  for (Index i = 0; i < a.size(); ++i) {
    narrow.data()[i] = bf16(static_cast<float>(a.data()[i]));
    wide.data()[i] = static_cast<float>(narrow.data()[i]);
    exact.data()[i] = static_cast<double>(wide.data()[i]);
  }
  const auto j = linalg::column_pivots(by_loops, exact.view(), 20).order;
  const auto k = linalg::row_pivots(by_loops, exact.view(), 15).order;
  const auto in_double = linalg::kept_energy(by_loops, std::as_const(exact).view(), j, k);
  const auto in_float = linalg::kept_energy(by_loops, std::as_const(wide).view(), j, k);
  const auto in_bf16 = linalg::kept_energy(by_loops, std::as_const(narrow).view(), j, k);
  constexpr double tolerance = 60 * 1.2e-7;
  for (const auto& some : {in_float, in_bf16}) {
    CHECK(std::abs(some.columns - in_double.columns) < tolerance);
    CHECK(std::abs(some.rows - in_double.rows) < tolerance);
    CHECK(std::abs(some.both - in_double.both) < tolerance);
  }
  CHECK(in_double.both < std::min(in_double.columns, in_double.rows));
  CHECK(in_double.columns > 20.0 / 60.0);
}

TEST_CASE("of an update, chosen columns and rows keep all between them, nothing beside them, and k / n of noise",
          "[linalg]") {
  constexpr Index n = 80;
  constexpr Index m = 120;
  const Tensor<double> w = test::gaussian<double>(n, m, Random(3));
  const std::vector<std::int32_t> columns = linalg::column_pivots(by_loops, w.view(), 20).order;
  const std::vector<std::int32_t> rows = linalg::row_pivots(by_loops, w.view(), 30).order;
  Tensor<double> c(20, n);
  Tensor<double> r(30, m);
  linalg::ColumnItems<double>{w.view()}.gather(columns, c.view());
  linalg::RowItems<double>{w.view()}.gather(rows, r.view());
  const auto shares = [&](const Tensor<double>& update) {
    return linalg::kept_energy(by_loops, update.view(), w.view(), columns, rows);
  };
  const auto near = [](const linalg::KeptEnergy& kept, double in_columns, double in_rows, double both, double by) {
    CHECK(std::abs(kept.columns - in_columns) < by);
    CHECK(std::abs(kept.rows - in_rows) < by);
    CHECK(std::abs(kept.both - both) < by);
  };
  const Tensor<double> u = test::gaussian<double>(20, 30, Random(4));
  Tensor<double> ur(20, m);
  Tensor<double> inside(n, m);  // C U R
  by_loops.gemm_nn(1.0, u.view(), std::as_const(r).view(), 0.0, ur.view());
  by_loops.gemm_tn(1.0, std::as_const(c).view(), std::as_const(ur).view(), 0.0, inside.view());
  near(shares(inside), 1, 1, 1, 1e-12);

  const Tensor<double> random = test::gaussian<double>(n, m, Random(5));
  near(shares(random), 20.0 / n, 30.0 / m, 20.0 / n * 30.0 / m, 0.03);

  Tensor<double> beside = test::gaussian<double>(n, m, Random(6));  // no column of it along C
  linalg::orthonormalize_after(by_loops, c.view(), 0);
  Tensor<double> along(20, m);
  by_loops.gemm_nn(1.0, std::as_const(c).view(), std::as_const(beside).view(), 0.0, along.view());
  by_loops.gemm_tn(-1.0, std::as_const(c).view(), std::as_const(along).view(), 1.0, beside.view());
  near(shares(beside), 0, 30.0 / m, 0, 0.03);
  CHECK(shares(beside).columns < 1e-12);
  CHECK(shares(beside).both < 1e-12);
  near(shares(Tensor<double>(n, m)), 1, 1, 1, 1e-15);
}
