// SPDX-License-Identifier: Apache-2.0
#include <graft/adapters/policies/thin_qr.hpp>

#include <graft/backends/reference.hpp>

#include "support/catch.hpp"
#include "support/files.hpp"
#include "support/tensors.hpp"

using namespace graft;
using namespace graft::adapters::policies;

TEST_CASE("B has orthonormal columns, A is upper triangular, and B A is W projected onto its first columns") {
  const backends::Reference be;
  const auto weight = test::normal<float>(8, 11, 3);
  const auto factors = ThinQr::factors(std::as_const(weight).view(), 3, 2.0, Random(1), "q");
  Tensor<double> gram(3, 3);
  be.gemm_tn(1, factors.b.view(), factors.b.view(), 0, gram.view());
  CHECK(test::relative_error(gram.view(), test::rows_of<double>({{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}).view()) < 1e-14);
  for (Index i = 1; i < 3; ++i) {
    for (Index j = 0; j < i; ++j) {
      CHECK(std::abs(factors.a(i, j)) < 1e-14);
    }
  }
  Tensor<double> product(8, 11);
  be.gemm_nn(1, factors.b.view(), factors.a.view(), 0, product.view());
  CHECK(test::relative_error(product.view().middle_cols(0, 3), weight.view().middle_cols(0, 3)) < 1e-14);
}

TEST_CASE("a weight of full rank is given back whole, and infinity is refused by the module's name") {
  const auto weight = test::normal<double>(4, 6, 5);
  const auto factors = ThinQr::factors(std::as_const(weight).view(), 4, 1.0, Random(1), "q");
  Tensor<double> product(4, 6);
  backends::Reference{}.gemm_nn(1, factors.b.view(), factors.a.view(), 0, product.view());
  CHECK(test::relative_error(product.view(), weight.view()) < 1e-14);
  Tensor<double> broken(2, 2);
  broken(0, 1) = std::numeric_limits<double>::infinity();
  const Error error =
      test::error_of([&] { (void)ThinQr::factors(std::as_const(broken).view(), 1, 1.0, Random(1), "q_proj"); });
  CHECK(error.id() == "adapter.663");
  CHECK(test::says(error, "q_proj"));
}
