// SPDX-License-Identifier: Apache-2.0
#include <graft/linalg/truncated_svd.hpp>

#include <cmath>

#include "linalg/golden.hpp"
#include "support/catch.hpp"

using namespace graft;

namespace {

/// U diag(s) V' of the first r directions.
linalg::EigenColumns best_of_rank(const linalg::Svd& svd, Index r) {
  linalg::EigenColumns u = linalg::as_eigen(svd.u.view()).leftCols(r);
  for (Index k = 0; k < r; ++k) {
    u.col(k) *= svd.s[static_cast<std::size_t>(k)];
  }
  return u * linalg::as_eigen(svd.vt.view()).topRows(r);
}

/// A matrix of random directions, value k of whose spectrum is spectrum(k).
template <class Spectrum>
Tensor<double> matrix_with(Index rows, Index cols, Spectrum spectrum) {
  const Index p = std::min(rows, cols);
  const auto directions = [&](Index n, std::uint64_t seed) {
    const Tensor<double> random = test::gaussian<double>(n, p, Random(seed));
    return linalg::orthonormal_columns(linalg::as_eigen(random.view()));
  };
  linalg::EigenColumns u = directions(rows, 1);
  for (Index k = 0; k < p; ++k) {
    u.col(k) *= spectrum(k);
  }
  Tensor<double> a(rows, cols);
  linalg::as_eigen(a.view()) = u * directions(cols, 2).transpose();
  return a;
}

/// Largest difference of the best approximations of rank r, over the largest singular value.
double error_of_rank(const Tensor<double>& a, Index r) {
  const linalg::Svd exact = linalg::thin_svd(a.view());
  const linalg::Svd found = linalg::truncated_svd(a.view(), r);
  REQUIRE(found.u.cols() == r);
  REQUIRE(found.vt.rows() == r);
  for (std::size_t k = 0; k < found.s.size(); ++k) {
    CHECK(std::abs(found.s[k] - exact.s[k]) <= 1e-10 * exact.s[0]);
  }
  return (best_of_rank(found, r) - best_of_rank(exact, r)).cwiseAbs().maxCoeff() / exact.s[0];
}

}  // namespace

TEST_CASE("the truncated SVD is the exact one to rounding where its columns span the whole matrix",
          "[linalg][golden]") {
  const auto file = test::linalg_golden("pivots");
  for (const char* name :
       {"random-64x48", "wide-33x80", "graded-40x40", "one-row-1x9", "one-column-9x1", "bf16-48x64"}) {
    INFO(name);
    const Tensor<double> a = test::read_matrix(file, std::string(name) + ".matrix");
    CHECK(error_of_rank(a, std::min<Index>(8, std::min(a.rows(), a.cols()))) < 1e-12);
  }
}

TEST_CASE("it converges to the exact one where the matrix is much larger than what is asked for", "[linalg]") {
  CHECK(error_of_rank(matrix_with(150, 120, [](Index k) { return std::pow(0.9, k); }), 5) < 1e-8);
  CHECK(error_of_rank(matrix_with(90, 160, [](Index k) { return 1.0 / static_cast<double>(k + 1); }), 4) < 1e-8);
  CHECK(error_of_rank(matrix_with(100, 100, [](Index k) { return k < 3 ? 1.0 : 0.0; }), 6) < 1e-12);  // rank 3
}

TEST_CASE("of a spectrum that hardly falls it keeps as much as the exact one does", "[linalg]") {
  const Tensor<double> a = test::gaussian<double>(140, 130, Random(7));
  const linalg::Svd exact = linalg::thin_svd(a.view());
  const linalg::Svd found = linalg::truncated_svd(a.view(), 6);
  double best = 0;
  double kept = 0;
  for (std::size_t k = 0; k < 6; ++k) {
    best += exact.s[k] * exact.s[k];
    kept += found.s[k] * found.s[k];
  }
  CHECK(kept <= best * (1 + 1e-12));
  CHECK(kept >= best * (1 - 1e-9));
}

TEST_CASE("it is a function of the matrix alone", "[linalg]") {
  const Tensor<double> a = test::gaussian<double>(50, 60, Random(3));
  const linalg::Svd first = linalg::truncated_svd(a.view(), 3);
  const linalg::Svd second = linalg::truncated_svd(a.view(), 3);
  CHECK(test::largest_difference(first.u.view(), second.u.view()) == 0);
}
