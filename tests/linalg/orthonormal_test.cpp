// SPDX-License-Identifier: Apache-2.0
#include <graft/linalg/orthonormal.hpp>

#include <cmath>
#include <limits>
#include <string>

#include "linalg/golden.hpp"
#include "support/catch.hpp"

using namespace graft;

namespace {

/// Worst error of a backward stable factorisation of r rows of length d.
template <class T>
double orthonormal_tolerance(Index d) {
  return 4 * static_cast<double>(std::numeric_limits<T>::epsilon()) * static_cast<double>(d);
}

/// A generator of normals 0, 1, 2, ... of one stream.
auto normals(Random random) {
  return [random, i = std::uint64_t{0}]() mutable { return random.normal(i++); };
}

}  // namespace

TEST_CASE("orthonormalise_rows gives the Q of the QR with positive diagonal", "[linalg][golden]") {
  const auto file = test::linalg_golden("orthonormal");
  const std::string name = GENERATE(std::string("a-48x4"), "b-16x16", "c-9x1");
  INFO(name);
  Tensor<double> r = test::transposed<double>(test::read_matrix(file, "orthonormalise." + name + ".matrix").view());
  const auto expected =
      test::transposed<double>(test::read_matrix(file, "orthonormalise." + name + ".q_positive_diagonal").view());
  linalg::orthonormalise_rows(r.view());
  CHECK(test::largest_difference(r.view(), expected.view()) <= 1e-12);  // eps times the condition of the matrix
  CHECK(linalg::orthonormality_error(r.view()) <= orthonormal_tolerance<double>(r.cols()));
}

TEST_CASE("polar gives the nearest matrix with orthonormal rows", "[linalg][golden]") {
  const auto file = test::linalg_golden("orthonormal");
  const std::string name = GENERATE(std::string("a-48x4"), "b-16x16", "c-9x1");
  INFO(name);
  Tensor<double> r = test::transposed<double>(test::read_matrix(file, "orthonormalise." + name + ".matrix").view());
  const auto expected = test::transposed<double>(test::read_matrix(file, "orthonormalise." + name + ".polar").view());
  linalg::polar(r.view());
  CHECK(test::largest_difference(r.view(), expected.view()) <= 1e-12);  // eps times the condition of the matrix
  CHECK(linalg::orthonormality_error(r.view()) <= orthonormal_tolerance<double>(r.cols()));
}

TEST_CASE("orthonormality_error is the largest entry of R R^T - I", "[linalg]") {
  Tensor<double> r(2, 3);
  r(0, 0) = 1;
  r(1, 1) = 1;
  CHECK(linalg::orthonormality_error(r.view()) == 0);
  r(1, 0) = -0.25;
  CHECK(linalg::orthonormality_error(r.view()) == 0.25);
  r(0, 2) = 1;
  CHECK(linalg::orthonormality_error(r.view()) == 1);
}

TEST_CASE("random rows are orthonormal to the precision of their type, through strides", "[linalg]") {
  Tensor<float> single(4, 80);
  linalg::random_orthonormal_rows(single.view().middle_cols(8, 64), normals(Random(1)));
  CHECK(linalg::orthonormality_error(single.view().middle_cols(8, 64)) <= orthonormal_tolerance<float>(1));
  CHECK(single(0, 7) == 0.0F);
  CHECK(single(3, 72) == 0.0F);
  Tensor<double> square(16, 16);
  linalg::random_orthonormal_rows(square.view(), normals(Random(2)));
  CHECK(linalg::orthonormality_error(square.view()) <= orthonormal_tolerance<double>(16));
}

TEST_CASE("random rows favour no direction and no sign", "[linalg]") {
  // Uniform: the mean of every entry is 0 and of its square 1/d; without the sign fix the first would be biased.
  constexpr Index r = 2;
  constexpr Index d = 3;
  constexpr int samples = 20000;
  auto normal = normals(Random(3));
  double mean[r][d] = {};
  double square[r][d] = {};
  Tensor<double> rows(r, d);
  for (int sample = 0; sample < samples; ++sample) {
    linalg::random_orthonormal_rows(rows.view(), [&] { return normal(); });
    for (Index i = 0; i < r; ++i) {
      for (Index j = 0; j < d; ++j) {
        mean[i][j] += rows(i, j) / samples;
        square[i][j] += rows(i, j) * rows(i, j) / samples;
      }
    }
  }
  const double five_sigma = 5 / std::sqrt(3.0 * samples);  // the variance of an entry is 1/d, of its square less
  for (Index i = 0; i < r; ++i) {
    for (Index j = 0; j < d; ++j) {
      CHECK(std::abs(mean[i][j]) < five_sigma);
      CHECK(std::abs(square[i][j] - 1.0 / 3) < five_sigma);
    }
  }
}

TEST_CASE("rows that cannot be made orthonormal are refused", "[linalg]") {
  Tensor<double> tall(3, 2);
  CHECK_THROWS_WITH(linalg::orthonormalise_rows(tall.view()), test::contains("shape.161"));
  CHECK_THROWS_WITH(linalg::polar(tall.view()), test::contains("shape.161"));
  Tensor<double> repeated = test::gaussian<double>(3, 5, Random(4));
  for (Index j = 0; j < 5; ++j) {
    repeated(2, j) = 2 * repeated(0, j);
  }
  CHECK_THROWS_WITH(linalg::orthonormalise_rows(repeated.view()), test::contains("adapter.662"));
  CHECK_THROWS_WITH(linalg::polar(repeated.view()), test::contains("adapter.662"));
  repeated(2, 0) = std::numeric_limits<double>::quiet_NaN();
  CHECK_THROWS_WITH(linalg::orthonormalise_rows(repeated.view()), test::contains("adapter.662"));
}
