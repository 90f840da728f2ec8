// SPDX-License-Identifier: Apache-2.0
#include <graft/linalg/gram_schmidt.hpp>

#include <graft/backends/reference.hpp>
#include <graft/linalg/eigen.hpp>

#include "linalg/golden.hpp"
#include "support/catch.hpp"

using namespace graft;

namespace {
constexpr backends::Reference loops;
}

TEST_CASE("rows become orthonormal in blocks, spanning what they spanned, though they nearly agree", "[linalg]") {
  const Index n = 70;  // three blocks
  const Index m = 90;
  Tensor<double> rows = test::gaussian<double>(n, m, Random(1));
  for (Index i = 1; i < n; ++i) {
    for (Index j = 0; j < m; ++j) {
      rows(i, j) = rows(0, j) + 1e-6 * rows(i, j);
    }
  }
  const Tensor<double> start = rows.clone();
  linalg::orthonormalize_after(loops, rows.view(), 0);
  const auto q = linalg::as_eigen(rows.view());
  CHECK((q * q.transpose() - Eigen::MatrixXd::Identity(n, n)).cwiseAbs().maxCoeff() < 1e-14);
  const auto a = linalg::as_eigen(start.view());
  CHECK((a - (a * q.transpose()) * q).cwiseAbs().maxCoeff() < 1e-13);
}

TEST_CASE("a row that the others explain becomes zero, and rows before `begin` are left alone", "[linalg]") {
  Tensor<float> rows(3, 4);
  rows(0, 1) = 1;
  rows(1, 1) = 5;
  rows(2, 1) = 7;
  rows(2, 3) = -2;
  linalg::orthonormalize_after(loops, rows.view(), 1);
  const std::vector<float> expected = {0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, -1};
  CHECK(std::equal(expected.begin(), expected.end(), rows.data()));
}
