// SPDX-License-Identifier: Apache-2.0
#include <graft/backends/simd/product.hpp>

#include <graft/backends/gemm/eigen.hpp>
#include <graft/backends/gemm/onednn.hpp>
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

TEST_CASE("a door that multiplies bf16 gets operands without gaps, and deep sums in parts") {
  using Door = backends::OneDnn;
  if (!Door::multiplies_bf16()) {
    return;  // it is widened instead, as above
  }
  const backends::Isa isa = backends::best_isa();
  constexpr Index rows = 7, cols = 100, depth = 1700;
  const auto half = [](Index m, Index n, std::uint64_t seed) {
    Tensor<bf16> x(m, n);
    ops::copy(test::normal<float>(m, n, seed).view(), x.view());
    return x;
  };
  const Tensor<bf16> a = half(rows, depth + 5, 1);
  const Tensor<bf16> by_rows = half(cols, depth, 2);
  const Tensor<bf16> by_cols = half(depth, cols + 9, 3);
  const View<const bf16> left = a.view().middle_cols(2, depth);
  const View<const bf16> right = by_cols.view().middle_cols(4, cols);
  for (const float beta : {0.0f, 1.0f, 0.5f}) {
    for (const Index gap : {0, 3}) {
      CAPTURE(beta, gap);
      Tensor<float> memory = test::normal<float>(rows, cols + gap, 4);
      Tensor<double> expected(rows, cols);
      const View<float> c = memory.view().middle_cols(0, cols);
      const float alpha = beta == 0.5f ? 1.5f : 1.0f;
      ops::copy(View<const float>(c), expected.view());
      backends::simd::multiply<Door>(isa, backends::simd::Nt{}, alpha, left, View<const bf16>(by_rows.view()), beta, c);
      ops::gemm_nt(static_cast<double>(alpha), left, View<const bf16>(by_rows.view()), static_cast<double>(beta),
                   expected.view());
      CHECK(test::relative_error(c, expected.view()) <= 50 * test::epsilon<float>);
      ops::copy(View<const float>(c), expected.view());
      backends::simd::multiply<Door>(isa, backends::simd::Nn{}, alpha, left, right, beta, c);
      ops::gemm_nn(static_cast<double>(alpha), left, right, static_cast<double>(beta), expected.view());
      CHECK(test::relative_error(c, expected.view()) <= 50 * test::epsilon<float>);
    }
  }
}
