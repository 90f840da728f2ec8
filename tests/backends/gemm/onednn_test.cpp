// SPDX-License-Identifier: Apache-2.0
#include <cstring>  // memcmp

#include <graft/backend.hpp>
#include <graft/backends/gemm/onednn.hpp>
#include <graft/backends/simd.hpp>

#include "contracts/backend_contract.hpp"
#include "support/catch.hpp"

using namespace graft;

using Backend = backends::Simd<backends::OneDnn>;
static_assert(backend<Backend> && backend<Backend, bf16, float>);

TEST_CASE("Simd over oneDNN does what Reference specifies, on every instruction set of this machine") {
  Backend be;
  for (const backends::Isa isa : {backends::Isa::baseline, backends::Isa::avx2, backends::Isa::avx512}) {
    if (isa <= backends::best_isa()) {
      INFO("instruction set " << static_cast<int>(isa));
      be.isa = isa;
      test::check_backend(be);
    }
  }
}

TEST_CASE("the number of threads changes no bit of what Simd over oneDNN computes") {
  test::check_thread_independence(Backend{});
}

TEST_CASE("oneDNN's bf16 products equal Reference wherever the library has them, native or emulated") {
  if (backends::chosen_isa() < backends::Isa::avx512) {
    return;  // no such product below AVX-512: Simd never asks for it, and the contract above runs on widened tiles
  }
  const backends::Reference reference;
  for (int call = 0; call < 2; ++call) {  // the second finds the compiled product
    test::BfTwin a(5, 33, 1), by_rows(17, 33, 2), by_cols(33, 17, 3);
    test::Twin c(5, 17, 4);
    backends::OneDnn::nt(a.h, by_rows.h, c.f);
    reference.gemm_nt(1, a.exact.view(), by_rows.exact.view(), 0, c.d());
    test::check_close(c, test::unit * 40.0);
    backends::OneDnn::nn(a.h, backends::paired(backends::best_isa(), by_cols.h), c.f);
    reference.gemm_nn(1, a.exact.view(), by_cols.exact.view(), 0, c.d());
    test::check_close(c, test::unit * 80.0);
  }
}

#if defined(_OPENMP)
TEST_CASE("a bf16 product that is first met among several threads has the bits of one that is met alone") {
  if (!backends::OneDnn::multiplies_bf16()) {
    return;  // Simd asks for no such product
  }
  for (const Index rows : {60, 112, 224}) {  // with sums of 1536 that oneDNN splits where it sees two threads
    const Index cols = 576, depth = 1536;
    Tensor<bf16> a(rows, depth), b(cols, depth);
    const backends::Reference reference;
    reference.copy(test::Twin(rows, depth, 1).f, a.view());
    reference.copy(test::Twin(cols, depth, 2).f, b.view());
    Tensor<float> among(rows, cols), alone(rows, cols);
#pragma omp parallel num_threads(2)
    if (omp_get_thread_num() == 1) {
      backends::OneDnn::nt(a.view(), b.view(), among.view());
    }
    backends::OneDnn::nt(a.view(), b.view(), alone.view());
    CHECK(std::memcmp(alone.data(), among.data(), static_cast<std::size_t>(alone.size()) * sizeof(float)) == 0);
  }
}
#endif

TEST_CASE("oneDNN keeps to the instruction set that is chosen for all of graft") {
  CHECK(backends::OneDnn::multiplies_bf16() == (backends::chosen_isa() >= backends::Isa::avx512_bf16));
}

TEST_CASE("an instruction set that is wished for after oneDNN has chosen is refused", "[.late]") {
  const float one = 1;
  float product = 0;
  REQUIRE(dnnl::sgemm('N', 'N', 1, 1, 1, 1, &one, 1, &one, 1, 0, &product, 1) == dnnl::status::success);
  const Tensor<float> a(8, 8);
  Tensor<float> c(8, 8);
  CHECK_THROWS_WITH(backends::OneDnn::nn(1, a.view(), a.view(), 0, c.view()), test::contains("shape.148"));
}

TEST_CASE("a view whose rows overlap is refused by oneDNN, in our words") {
  Tensor<float> memory(2, 8);
  const View<float> overlapping(memory.data(), 2, 8, 4);
  CHECK_THROWS_WITH(backends::OneDnn::nt(1, memory.view(), Tensor<float>(8, 8).view(), 0, overlapping),
                    "shape.141: OneDnn: sgemm refused its arguments");
}
