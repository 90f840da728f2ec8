// SPDX-License-Identifier: Apache-2.0
#include <graft/backends/gemm/eigen.hpp>
#include <graft/backends/simd.hpp>

#include "support/catch.hpp"
#include "support/tensors.hpp"

using namespace graft;

static_assert(backends::gemm_door<backends::EigenGemm>);
static_assert(!backends::EigenGemm::multiplies_bf16());

TEST_CASE("Eigen's products of small integers are exact, with alpha and beta, between strided views") {
  const Tensor<float> a = test::rows_of<float>({{1, 2, 9}, {3, 4, 9}});
  const Tensor<float> b = test::rows_of<float>({{5, 6, 9}, {7, 8, 9}});
  const View<const float> left = a.view().middle_cols(0, 2);
  const View<const float> right = b.view().middle_cols(0, 2);
  Tensor<float> c = test::rows_of<float>({{1, 1}, {1, 1}});
  backends::EigenGemm::nt(2.0f, left, right, 3.0f, c.view());
  CHECK(test::identical(c.view(), test::rows_of<float>({{37, 49}, {81, 109}}).view()));
  backends::EigenGemm::nn(1.0f, left, right, 0.0f, c.view());
  CHECK(test::identical(c.view(), test::rows_of<float>({{19, 22}, {43, 50}}).view()));
  backends::EigenGemm::tn(1.0f, left, right, 1.0f, c.view());
  CHECK(test::identical(c.view(), test::rows_of<float>({{19 + 26, 22 + 30}, {43 + 38, 50 + 44}}).view()));
}
