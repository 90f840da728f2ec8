// SPDX-License-Identifier: Apache-2.0
#include <graft/backends/simd/product.hpp>

#include <graft/backends/gemm/eigen.hpp>
#include <graft/ops/elementwise.hpp>
#include <graft/ops/gemm.hpp>

#include "support/catch.hpp"
#include "support/tensors.hpp"

using namespace graft;

TEST_CASE("a door without bf16 gets the same product from widened tiles, for more columns than a tile has") {
  const Tensor<float> a = test::normal<float>(5, 31, 1);
  const Tensor<float> b = test::normal<float>(300, 31, 2);
  Tensor<bf16> half_a(5, 31);
  Tensor<bf16> half_b(300, 31);
  ops::copy(a.view(), half_a.view());
  ops::copy(b.view(), half_b.view());
  Tensor<float> found(5, 300);
  Tensor<double> expected(5, 300);
  backends::simd::multiply<backends::EigenGemm>(backends::best_isa(), backends::simd::Nt{}, 1.0f,
                                                View<const bf16>(half_a.view()), View<const bf16>(half_b.view()), 0.0f,
                                                found.view());
  ops::gemm_nt(1.0, View<const bf16>(half_a.view()), View<const bf16>(half_b.view()), 0.0, expected.view());
  CHECK(test::relative_error(found.view(), expected.view()) <= 31 * test::epsilon<float>);
}
