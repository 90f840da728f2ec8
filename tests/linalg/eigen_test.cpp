// SPDX-License-Identifier: Apache-2.0
#include <graft/linalg/eigen.hpp>

#include <vector>

#include <graft/core/tensor.hpp>

#include "support/catch.hpp"

using namespace graft;

TEST_CASE("as_eigen reads and writes the View's own memory, through its stride", "[linalg]") {
  Tensor<float> storage(3, 5);
  for (Index i = 0; i < 15; ++i) {
    storage.data()[i] = static_cast<float>(i);
  }
  const View<float> inner = storage.view().middle_cols(1, 2).middle_rows(1, 2);
  auto seen = linalg::as_eigen(inner);
  CHECK(seen.rows() == 2);
  CHECK(seen.cols() == 2);
  CHECK(seen(0, 0) == 6.0F);
  CHECK(seen(1, 1) == 12.0F);
  seen.setConstant(-1.0F);
  CHECK(storage(2, 2) == -1.0F);
  CHECK(storage(2, 3) == 13.0F);
  CHECK(storage(0, 1) == 1.0F);
}

TEST_CASE("as_eigen of a const View multiplies without a copy of it", "[linalg]") {
  const std::vector<double> numbers = {1, 2, 3, 4, 5, 6};
  const View<const double> a(numbers.data(), 2, 3);
  CHECK(linalg::as_eigen(a).data() == numbers.data());
  const linalg::EigenMatrix<double> gram = linalg::as_eigen(a) * linalg::as_eigen(a).transpose();
  CHECK(gram(0, 0) == 14.0);
  CHECK(gram(0, 1) == 32.0);
  CHECK(gram(1, 1) == 77.0);
}

TEST_CASE("to_eigen_double decodes bf16", "[linalg]") {
  std::vector<bf16> numbers = {bf16(1.5F), bf16(-2.0F)};
  const auto copy = linalg::to_eigen_double(View<bf16>(numbers.data(), 2, 1));
  CHECK(copy(0, 0) == 1.5);
  CHECK(copy(1, 0) == -2.0);
}
