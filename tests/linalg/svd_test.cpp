// SPDX-License-Identifier: Apache-2.0
#include <graft/linalg/svd.hpp>

#include <cmath>
#include <limits>

#include "linalg/golden.hpp"
#include "support/catch.hpp"

using namespace graft;

TEST_CASE("thin_svd has LAPACK's singular values, multiplies back, and its vectors agree up to sign",
          "[linalg][golden]") {
  const auto file = test::linalg_golden("pivots");
  const std::string name = GENERATE(std::string("random-64x48"), "wide-33x80", "lowrank-noise-50x70", "graded-40x40",
                                    "one-row-1x9", "one-column-9x1", "skeleton-5x4", "bf16-48x64", "ties-12x10");
  INFO(name);
  const Tensor<double> a = test::read_matrix(file, name + ".matrix");
  const Index p = std::min(a.rows(), a.cols());
  const Tensor<double> s = test::read_matrix(file, name + ".svd_S");
  const Tensor<double> u = test::read_matrix(file, name + ".svd_U");
  const Tensor<double> vt = test::read_matrix(file, name + ".svd_Vt");
  const linalg::Svd found = linalg::thin_svd(a.view());
  REQUIRE(found.u.cols() == p);
  REQUIRE(found.vt.rows() == p);
  const double length = static_cast<double>(a.rows() + a.cols());
  const double error = 4 * std::numeric_limits<double>::epsilon() * length * s.data()[0];
  Tensor<double> product(a.rows(), a.cols());
  for (Index i = 0; i < p; ++i) {
    CHECK(std::abs(found.s[static_cast<std::size_t>(i)] - s.data()[i]) <= error);
    double gap = s.data()[0];  // a vector is known to error / distance of its singular value to the others
    for (Index j = 0; j < p; ++j) {
      gap = j == i ? gap : std::min(gap, std::abs(s.data()[i] - s.data()[j]));
    }
    double cosine_u = 0;
    double cosine_v = 0;
    for (Index row = 0; row < a.rows(); ++row) {
      cosine_u += found.u(row, i) * u(row, i);
    }
    for (Index column = 0; column < a.cols(); ++column) {
      cosine_v += found.vt(i, column) * vt(i, column);
    }
    if (gap > 1e6 * error) {
      CHECK(std::abs(cosine_u - cosine_v) <= error / gap + 1e-6);  // the same sign on both sides
      CHECK(std::abs(std::abs(cosine_u) - 1) <= error / gap);
    }
    for (Index row = 0; row < a.rows(); ++row) {
      for (Index column = 0; column < a.cols(); ++column) {
        product(row, column) += found.u(row, i) * found.s[static_cast<std::size_t>(i)] * found.vt(i, column);
      }
    }
  }
  CHECK(test::largest_difference(product.view(), a.view()) <= error);
}

TEST_CASE("thin_svd of an empty matrix is empty, and of NaN is refused", "[linalg]") {
  CHECK(linalg::thin_svd(View<const float>(nullptr, 0, 3)).s.empty());
  Tensor<float> a(2, 2);
  a(1, 0) = std::numeric_limits<float>::quiet_NaN();
  CHECK_THROWS_WITH(linalg::thin_svd(a.view()), test::contains("adapter.663"));
}
