// SPDX-License-Identifier: Apache-2.0
// The products of SmolLM2's linear maps, of its head and of rank-8 adapters, 1024 tokens in blocks of block_rows; bf16: with operands in
// bf16, as the processor multiplies them or widened.
#include <cstdint>

#include <benchmark/benchmark.h>

#include "../support/roof.hpp"

using namespace graft;

namespace {

constexpr Index tokens = 1024;

/// bench::numbers, rounded to S.
template <class S>
Tensor<S> rounded_numbers(Index rows, Index cols, std::uint64_t seed) {
  Tensor<S> x(rows, cols);
  bench::Quickest().copy(bench::numbers(rows, cols, seed).view(), x.view());
  return x;
}

/// Arguments: N, K, block_rows.
template <class B, class S, bool forward>
void product(benchmark::State& state) {
  B be;
  be.block_rows = state.range(2);
  const Index n = state.range(0);
  const Index k = state.range(1);
  const typename B::template Weight<S> weight(rounded_numbers<S>(n, k, 1));
  const Tensor<S> from = rounded_numbers<S>(tokens, forward ? k : n, 2);
  Tensor<float> onto(tokens, forward ? n : k);
  for (auto _ : state) {
    be.for_each_block(tokens, [&](Block block) {
      const View<const S> x = from.view().middle_rows(block.begin, block.rows);
      const View<float> y = onto.view().middle_rows(block.begin, block.rows);
      if constexpr (forward) {
        be.gemm_nt(1.0f, x, weight, 0.0f, y);
      } else {
        be.gemm_nn(1.0f, x, weight, 0.0f, y);
      }
    });
  }
  bench::report_flops(state, 2.0 * static_cast<double>(tokens * n * k));
}

/// Arguments: M, N of a gradient summed over the tokens.
template <class B>
void gradient(benchmark::State& state) {
  const B be;
  const Tensor<float> a = bench::numbers(tokens, state.range(0), 1);
  const Tensor<float> b = bench::numbers(tokens, state.range(1), 2);
  Tensor<float> c(state.range(0), state.range(1));
  for (auto _ : state) {
    be.gemm_tn(1.0f, a.view(), b.view(), 1.0f, c.view());
  }
  bench::report_flops(state, 2.0 * static_cast<double>(tokens * c.size()));
}

void shapes(benchmark::internal::Benchmark* row) {
  row->ArgNames({"N", "K", "block_rows"})->UseRealTime();
  for (const Index block : {64, 128, 256}) {
    row->Args({1536, 576, block})->Args({576, 1536, block})->Args({576, 576, block})->Args({192, 576, block});
  }
  row->Args({49152, 576, 128})->Args({8, 576, 128})->Args({576, 8, 128});
}
void gradients(benchmark::internal::Benchmark* row) {
  row->ArgNames({"M", "N"})->UseRealTime()->Args({8, 576})->Args({1536, 8})->Args({1536, 576});
}

BENCHMARK_TEMPLATE(product, bench::OverEigen, float, true)->Name("gemm_nt/EigenGemm")->Apply(shapes);
BENCHMARK_TEMPLATE(product, bench::OverEigen, float, false)->Name("gemm_nn/EigenGemm")->Apply(shapes);
BENCHMARK_TEMPLATE(gradient, bench::OverEigen)->Name("gemm_tn/EigenGemm")->Apply(gradients);
#if __has_include(<oneapi/dnnl/dnnl.hpp>)
BENCHMARK_TEMPLATE(product, bench::Quickest, float, true)->Name("gemm_nt/OneDnn")->Apply(shapes);
BENCHMARK_TEMPLATE(product, bench::Quickest, float, false)->Name("gemm_nn/OneDnn")->Apply(shapes);
BENCHMARK_TEMPLATE(product, bench::Quickest, bf16, true)->Name("gemm_nt/OneDnn/bf16")->Apply(shapes);
BENCHMARK_TEMPLATE(product, bench::Quickest, bf16, false)->Name("gemm_nn/OneDnn/bf16")->Apply(shapes);
BENCHMARK_TEMPLATE(gradient, bench::Quickest)->Name("gemm_tn/OneDnn")->Apply(gradients);
#endif

}  // namespace
