// SPDX-License-Identifier: Apache-2.0
#include <graft/adapters/policies/singular.hpp>

#include <complex>

#include <graft/backends/reference.hpp>

#include "support/catch.hpp"
#include "support/files.hpp"
#include "support/tensors.hpp"

using namespace graft;
using namespace graft::adapters::policies;

namespace {
/// scale * B A.
Tensor<double> product_of(const Factors<double>& factors, double scale) {
  Tensor<double> whole(factors.b.rows(), factors.a.cols());
  backends::Reference{}.gemm_nn(scale, factors.b.view(), factors.a.view(), 0, whole.view());
  return whole;
}
/// The squared lengths of a row of A and of the same column of B.
std::pair<double, double> lengths(const Factors<double>& factors, Index k) {
  const backends::Reference loops;
  return {loops.squared_norm(factors.a.view().middle_rows(k, 1)),
          loops.squared_norm(factors.b.view().middle_cols(k, 1))};
}
}  // namespace

TEST_CASE("s B A of the principal components is the best approximation of the weight, shared evenly by both factors") {
  // diag(6, 4, 1) turned by nothing: its best approximation of rank 2 leaves out the 1
  const auto weight = test::rows_of<double>({{0, 4, 0, 0}, {6, 0, 0, 0}, {0, 0, 1, 0}});
  const auto factors = PrincipalComponents::factors(std::as_const(weight).view(), 2, 0.5, Random(1), "q");
  CHECK(test::relative_error(product_of(factors, 0.5).view(),
                             test::rows_of<double>({{0, 4, 0, 0}, {6, 0, 0, 0}, {0, 0, 0, 0}}).view()) < 1e-14);
  const auto [a, b] = lengths(factors, 0);
  CHECK(a == Approx(12));  // 6 / s
  CHECK(b == Approx(12));
  CHECK(lengths(factors, 1).second == Approx(8));
}

TEST_CASE("of the singular directions A carries the values and B none, whatever the scale") {
  const auto weight = test::normal<float>(7, 9, 3);
  const auto factors = SingularDirections::factors(std::as_const(weight).view(), 7, 5.0, Random(1), "q");
  CHECK(test::relative_error(product_of(factors, 1).view(), weight.view()) < 1e-14);
  for (Index k = 0; k < 7; ++k) {
    CHECK(lengths(factors, k).second == Approx(1));
    CHECK((k == 0 || lengths(factors, k).first <= lengths(factors, k - 1).first));
  }
}

TEST_CASE("the start is a constant: of a complex weight the real part is decomposed") {
  const auto weight = test::normal<double>(6, 5, 3);
  Tensor<std::complex<double>> lifted(6, 5);
  backends::Reference{}.copy(weight.view(), lifted.view());
  lifted(2, 3) += std::complex<double>(0, 1);
  const auto plain = PrincipalComponents::factors(std::as_const(weight).view(), 3, 2.0, Random(1), "q");
  const auto complex = PrincipalComponents::factors(std::as_const(lifted).view(), 3, 2.0, Random(1), "q");
  CHECK(test::identical(complex.a.view(), plain.a.view()));
  CHECK(test::identical(complex.b.view(), plain.b.view()));
}
