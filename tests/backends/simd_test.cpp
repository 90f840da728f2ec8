// SPDX-License-Identifier: Apache-2.0
#include <graft/backend.hpp>
#include <graft/backends/gemm/eigen.hpp>
#include <graft/backends/simd.hpp>

#include "contracts/backend_contract.hpp"
#include "support/catch.hpp"

using namespace graft;

static_assert(backend<backends::Simd<>> && backend<backends::Simd<>, bf16, float>);
static_assert(backend<backends::Simd<>, double, double>);
static_assert(backend<backends::Simd<>, std::complex<double>, std::complex<double>>);

TEST_CASE("Simd does what Reference specifies, on every instruction set of this machine") {
  backends::Simd<> be;
  for (const backends::Isa isa : {backends::Isa::baseline, backends::Isa::avx2, backends::Isa::avx512}) {
    if (isa <= backends::best_isa()) {
      INFO("instruction set " << static_cast<int>(isa));
      be.isa = isa;
      test::check_backend(be);
    }
  }
}

TEST_CASE("the number of threads changes no bit of what Simd computes") {
  test::check_thread_independence(backends::Simd<>{});
}

TEST_CASE("Simd leaves other scalars to Reference") {
  const backends::Simd<> be;
  Tensor<double> a = test::normal<double>(3, 5, 1);
  Tensor<double> b = test::normal<double>(4, 5, 2);
  Tensor<double> found(3, 4);
  Tensor<double> expected(3, 4);
  be.gemm_nt(1.0, a.view(), b.view(), 0.0, found.view());
  backends::Reference{}.gemm_nt(1.0, a.view(), b.view(), 0.0, expected.view());
  CHECK(test::identical(found.view(), expected.view()));
}

TEST_CASE("the loss over 49,152 classes is right to 1e-6 on every instruction set") {
  backends::Simd<> be;
  test::Twin logits(2, 49152, 1);
  test::Twin nll(2, 1, 2);
  const std::vector<std::int32_t> labels = {0, 49151};
  backends::Reference{}.cross_entropy(logits.d(), labels, 0.0, nll.d());
  for (const backends::Isa isa : {backends::Isa::baseline, backends::Isa::avx2, backends::Isa::avx512}) {
    if (isa <= backends::best_isa()) {
      be.isa = isa;
      be.cross_entropy(logits.f, labels, 0.0f, nll.f);
      test::check_close(nll, 1e-6);
    }
  }
}
