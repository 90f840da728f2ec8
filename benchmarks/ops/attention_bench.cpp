// SPDX-License-Identifier: Apache-2.0
// Attention of SmolLM2's shape (9 heads, 3 key heads of 64): 4 sequences of T tokens, backward, and a decode step.
#include <benchmark/benchmark.h>

#include <vector>

#include "../support/roof.hpp"

using namespace graft;

namespace {

constexpr ops::AttentionShape shape{9, 3, 64, 0.125};

/// 4 sequences whose last `queries` tokens ask among `keys`.
struct Batch {
  std::vector<ops::AttentionSpan> spans;
  Tensor<float> q, k, v, o, lse, d_o, dq, dk, dv;

  Batch(Index queries, Index keys)
      : q(bench::numbers(4 * queries, 576, 1)),
        k(bench::numbers(4 * keys, 192, 2)),
        v(bench::numbers(4 * keys, 192, 3)),
        o(4 * queries, 576),
        lse(4 * queries, 9),
        d_o(bench::numbers(4 * queries, 576, 4)),
        dq(4 * queries, 576),
        dk(4 * keys, 192),
        dv(4 * keys, 192) {
    for (Index i = 0; i < 4; ++i) {
      spans.push_back({i * queries, queries, i * keys, keys});
    }
  }
  /// Products of one head_dim that causality asks for: forward two of them a visible pair.
  [[nodiscard]] double pairs(Index queries, Index keys) const {
    return 4.0 * 9.0 * static_cast<double>(queries) *
           (static_cast<double>(keys) - 0.5 * static_cast<double>(queries - 1));
  }
};

template <class B>
void forward(benchmark::State& state) {
  const B be;
  Batch batch(state.range(0), state.range(1));
  for (auto _ : state) {
    be.attention(shape, batch.spans, batch.q.view(), batch.k.view(), batch.v.view(), batch.o.view(), batch.lse.view());
  }
  bench::report_flops(state, 2.0 * 2.0 * 64.0 * batch.pairs(state.range(0), state.range(1)));
}

template <class B>
void backward(benchmark::State& state) {
  const B be;
  Batch batch(state.range(0), state.range(1));
  be.attention(shape, batch.spans, batch.q.view(), batch.k.view(), batch.v.view(), batch.o.view(), batch.lse.view());
  for (auto _ : state) {
    be.attention_vjp(shape, batch.spans, batch.q.view(), batch.k.view(), batch.v.view(), batch.o.view(),
                     batch.lse.view(), batch.d_o.view(), batch.dq.view(), batch.dk.view(), batch.dv.view());
  }
  bench::report_flops(state, 5.0 * 2.0 * 64.0 * batch.pairs(state.range(0), state.range(1)));
}

void lengths(benchmark::internal::Benchmark* row) {
  row->ArgNames({"queries", "keys"})
      ->UseRealTime()
      ->Args({64, 64})
      ->Args({200, 200})
      ->Args({512, 512})
      ->Args({2048, 2048});
}

BENCHMARK_TEMPLATE(forward, bench::OverEigen)->Name("attention/EigenGemm")->Apply(lengths)->Args({1, 1024});
BENCHMARK_TEMPLATE(backward, bench::OverEigen)->Name("attention_vjp/EigenGemm")->Apply(lengths);
#if __has_include(<oneapi/dnnl/dnnl.hpp>)
BENCHMARK_TEMPLATE(forward, bench::Quickest)->Name("attention/OneDnn")->Apply(lengths)->Args({1, 1024});
BENCHMARK_TEMPLATE(backward, bench::Quickest)->Name("attention_vjp/OneDnn")->Apply(lengths);
#endif
BENCHMARK_TEMPLATE(forward, backends::Reference)
    ->Name("attention/Reference")
    ->ArgNames({"queries", "keys"})
    ->Args({64, 64});

}  // namespace
