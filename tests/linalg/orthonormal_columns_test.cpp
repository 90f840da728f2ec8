// SPDX-License-Identifier: Apache-2.0
#include <graft/linalg/orthonormal_columns.hpp>

#include <limits>

#include "linalg/golden.hpp"
#include "support/catch.hpp"
#include "support/files.hpp"

using namespace graft;

namespace {
constexpr double unit = std::numeric_limits<double>::epsilon();

linalg::EigenColumns as_columns(const Tensor<double>& a) {
  return linalg::as_eigen(a.view());
}
}  // namespace

TEST_CASE("the columns of Q are orthonormal to rounding and span the first columns of X, however badly X is graded",
          "[linalg]") {
  linalg::EigenColumns x = as_columns(test::gaussian<double>(60, 12, Random(1)));
  for (Eigen::Index j = 1; j < x.cols(); ++j) {
    x.col(j) = 1e-6 * x.col(j) + x.col(j - 1);  // each nearly its neighbour: a condition number beyond 1e12
  }
  const linalg::EigenColumns q = linalg::orthonormal_columns(x);
  CHECK((q.transpose() * q - linalg::EigenColumns::Identity(12, 12)).cwiseAbs().maxCoeff() < 60 * unit);
  const linalg::EigenColumns r = q.transpose() * x;
  for (Eigen::Index j = 0; j < 12; ++j) {
    CHECK((q.leftCols(j + 1) * r.col(j).head(j + 1) - x.col(j)).norm() < 60 * unit * x.col(j).norm());
    CHECK(r(j, j) > 0);
  }
}

TEST_CASE("a column that depends on those before it becomes zero", "[linalg]") {
  linalg::EigenColumns x = as_columns(test::gaussian<double>(9, 4, Random(2)));
  x.col(2) = 3 * x.col(0) - x.col(1);
  x.col(3).setZero();
  const linalg::EigenColumns q = linalg::orthonormal_columns(x);
  CHECK(q.col(1).norm() == Approx(1));
  CHECK(q.col(2).norm() == 0);
  CHECK(q.col(3).norm() == 0);
}

TEST_CASE("a copy in double refuses infinity by the module's name", "[linalg]") {
  Tensor<float> a(2, 2);
  a(1, 0) = std::numeric_limits<float>::infinity();
  const Error error = test::error_of([&] { (void)linalg::finite_double(a.view(), "q_proj"); });
  CHECK(error.id() == "adapter.663");
  CHECK(test::says(error, "[q_proj]"));
}
