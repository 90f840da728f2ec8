// SPDX-License-Identifier: Apache-2.0
#include <graft/backends/cuda/narrow.cuh>

#include "contracts/backend_contract.hpp"
#include "support/catch.hpp"
#include "support/host_queue.hpp"

using namespace graft;

namespace {

/// The largest difference between c and Reference's, in units of rounding.
template <class A>
double error_of(const test::CudaOnHost& be, Index rows, Index cols, Index depth, float beta) {
  const backends::Reference reference;
  Tensor<A> a(rows, depth), b(cols, depth);
  Tensor<double> exact_a(rows, depth), exact_b(cols, depth), exact(rows, cols);
  reference.copy(test::Twin(rows, depth, 1).f, a.view());
  reference.copy(test::Twin(cols, depth, 2).f, b.view());
  reference.copy(View<const A>(a.view()), exact_a.view());
  reference.copy(View<const A>(b.view()), exact_b.view());
  Tensor<float> c(rows, cols);
  reference.fill(0.5f, c.view());
  reference.fill(0.5, exact.view());
  be.gemm_nt(2, View<const A>(a.view()), View<const A>(b.view()), beta, c.view());
  reference.gemm_nt(2, exact_a.view(), exact_b.view(), static_cast<double>(beta), exact.view());
  double error = 0;
  for (Index i = 0; i < c.size(); ++i) {
    error = std::max(error, std::abs(static_cast<double>(c.data()[i]) - exact.data()[i]));
  }
  return error / test::unit;
}

}  // namespace

TEST_CASE("a product of a few packed rows is one kernel, and equals Reference") {
  const test::CudaOnHost be(std::make_shared<test::HostQueue>(3));
  for (const auto& [rows, cols, depth] : {std::array<Index, 3>{1, 17, 64}, {3, 8, 40}, {4, 65, 8}, {1, 3, 0}}) {
    CAPTURE(rows, cols, depth);
    for (const float beta : {0.0f, 1.0f, 0.25f}) {
      const Index before = be.queue().launches;
      CHECK(error_of<float>(be, rows, cols, depth, beta) < 100);
      CHECK(error_of<bf16>(be, rows, cols, depth, beta) < 100);
      CHECK(be.queue().launches == before + 2);
    }
  }
}

TEST_CASE("more rows, other forms and rows that are no packs are the library's") {
  const test::CudaOnHost be;
  const auto kernels = [&](auto&& multiply) {
    const Index before = be.queue().launches;
    multiply();
    return be.queue().launches - before;
  };
  const Tensor<float> a(8, 16), b(8, 16);
  Tensor<float> c(8, 16);
  const View<const float> x = a.view();
  const View<float> y = c.view();
  CHECK(kernels([&] { be.gemm_nt(1, x.middle_rows(0, 4), b.view(), 0, y.middle_rows(0, 4).middle_cols(0, 8)); }) == 1);
  CHECK(kernels([&] { be.gemm_nt(1, x, b.view(), 0, y.middle_cols(0, 8)); }) == 0);
  CHECK(kernels([&] { be.gemm_nn(1, x.middle_rows(0, 4).middle_cols(0, 8), b.view(), 0, y.middle_rows(0, 4)); }) == 0);
  CHECK(kernels([&] {
          be.gemm_nt(1, x.middle_rows(0, 4).middle_cols(0, 15), View<const float>(b.view()).middle_cols(0, 15), 0,
                     y.middle_rows(0, 4).middle_cols(0, 8));
        }) == 0);
  CHECK(kernels([&] {
          be.gemm_nt(1, x.middle_rows(0, 4).middle_cols(1, 8), View<const float>(b.view()).middle_cols(0, 8), 0,
                     y.middle_rows(0, 4).middle_cols(0, 8));
        }) == 0);
}
