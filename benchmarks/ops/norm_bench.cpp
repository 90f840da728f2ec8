// SPDX-License-Identifier: Apache-2.0
// Row operations between the gemms: norms, rope, gated activations and conversions, 1024 tokens in blocks.
#include <benchmark/benchmark.h>

#include <numeric>  // iota
#include <vector>

#include "../support/roof.hpp"

using namespace graft;

namespace {

constexpr Index tokens = 1024;

/// Runs body(block) over the tokens; `floats` are read or written for every row.
template <class B, class Body>
void rows(benchmark::State& state, const B& be, double floats, const Body& body) {
  for (auto _ : state) {
    be.for_each_block(tokens, body);
  }
  bench::report_bytes(state, 4.0 * floats * static_cast<double>(tokens));
}
template <class T>
View<T> part(View<T> x, Block block) {
  return x.middle_rows(block.begin, block.rows);
}

template <class B>
void norm(benchmark::State& state) {
  const B be;
  const Tensor<float> gain = bench::numbers(1, 576, 1);
  const Tensor<float> x = bench::numbers(tokens, 576, 2);
  Tensor<float> y(tokens, 576);
  rows(state, be, 2.0 * 576.0,
       [&](Block b) { be.rms_norm(ops::RmsNorm<float>{gain.view()}, part(x.view(), b), part(y.view(), b)); });
}
template <class B>
void norm_vjp(benchmark::State& state) {
  const B be;
  const Tensor<float> gain = bench::numbers(1, 576, 1);
  const Tensor<float> x = bench::numbers(tokens, 576, 2);
  Tensor<float> dx(tokens, 576);
  rows(state, be, 4.0 * 576.0, [&](Block b) {
    be.rms_norm_vjp(ops::RmsNorm<float>{gain.view()}, part(x.view(), b), part(x.view(), b), part(dx.view(), b));
  });
}
template <class B>
void rope(benchmark::State& state) {
  const B be;
  std::vector<Index> positions(tokens);
  std::iota(positions.begin(), positions.end(), Index{0});
  const std::vector<double> frequencies(32, 0.1);
  Tensor<float> rotations(tokens, 64);
  be.rope_rotations(positions, frequencies, rotations.view());
  Tensor<float> x = bench::numbers(tokens, 576, 2);
  rows(state, be, 2.0 * 576.0 + 64.0,
       [&](Block b) { be.rope(ops::Turn::forward, part(rotations.view(), b), part(x.view(), b)); });
}
template <class B>
void activation(benchmark::State& state) {
  const B be;
  const Tensor<float> x = bench::numbers(tokens, 1536, 1);
  Tensor<float> y(tokens, 1536);
  rows(state, be, 3.0 * 1536.0, [&](Block b) {
    be.gated_activation(ops::Activation::silu, part(x.view(), b), part(x.view(), b), part(y.view(), b));
  });
}
template <class B>
void activation_vjp(benchmark::State& state) {
  const B be;
  const Tensor<float> x = bench::numbers(tokens, 1536, 1);
  Tensor<float> dgate(tokens, 1536);
  Tensor<float> dup(tokens, 1536);
  rows(state, be, 5.0 * 1536.0, [&](Block b) {
    be.gated_activation_vjp(ops::Activation::silu, part(x.view(), b), part(x.view(), b), part(x.view(), b),
                            part(dgate.view(), b), part(dup.view(), b));
  });
}
template <class B>
void to_bf16(benchmark::State& state) {
  const B be;
  const Tensor<float> x = bench::numbers(tokens, 576, 1);
  Tensor<bf16> y(tokens, 576);
  rows(state, be, 1.5 * 576.0, [&](Block b) { be.copy(part(x.view(), b), part(y.view(), b)); });
}

BENCHMARK_TEMPLATE(norm, bench::Quickest)->Name("rms_norm/Simd")->UseRealTime();
BENCHMARK_TEMPLATE(norm, backends::Reference)->Name("rms_norm/Reference")->UseRealTime();
BENCHMARK_TEMPLATE(norm_vjp, bench::Quickest)->Name("rms_norm_vjp/Simd")->UseRealTime();
BENCHMARK_TEMPLATE(norm_vjp, backends::Reference)->Name("rms_norm_vjp/Reference")->UseRealTime();
BENCHMARK_TEMPLATE(rope, bench::Quickest)->Name("rope/Simd")->UseRealTime();
BENCHMARK_TEMPLATE(rope, backends::Reference)->Name("rope/Reference")->UseRealTime();
BENCHMARK_TEMPLATE(activation, bench::Quickest)->Name("gated_activation/Simd")->UseRealTime();
BENCHMARK_TEMPLATE(activation, backends::Reference)->Name("gated_activation/Reference")->UseRealTime();
BENCHMARK_TEMPLATE(activation_vjp, bench::Quickest)->Name("gated_activation_vjp/Simd")->UseRealTime();
BENCHMARK_TEMPLATE(activation_vjp, backends::Reference)->Name("gated_activation_vjp/Reference")->UseRealTime();
BENCHMARK_TEMPLATE(to_bf16, bench::Quickest)->Name("copy_to_bf16/Simd")->UseRealTime();
BENCHMARK_TEMPLATE(to_bf16, backends::Reference)->Name("copy_to_bf16/Reference")->UseRealTime();

}  // namespace
