// SPDX-License-Identifier: Apache-2.0
// The loss over SmolLM2's 49,152 classes, 128 labelled rows, with and without its gradient.
#include <benchmark/benchmark.h>

#include <cstdint>
#include <span>
#include <vector>

#include "../support/roof.hpp"

using namespace graft;

namespace {

constexpr Index labelled = 128;
constexpr Index classes = 49152;

template <class B, bool with_gradient>
void loss(benchmark::State& state) {
  B be;
  be.block_rows = 16;
  Tensor<float> logits = bench::numbers(labelled, classes, 1);
  Tensor<float> nll(labelled, 1);
  const std::vector<std::int32_t> labels(labelled, 7);
  for (auto _ : state) {
    be.for_each_block(labelled, [&](Block block) {
      const auto begin = static_cast<std::size_t>(block.begin);
      const auto rows = static_cast<std::size_t>(block.rows);
      be.cross_entropy(logits.view().middle_rows(block.begin, block.rows), std::span(labels).subspan(begin, rows),
                       with_gradient ? 1.0f : 0.0f, nll.view().middle_rows(block.begin, block.rows));
    });
  }
  bench::report_bytes(state, 4.0 * (with_gradient ? 5.0 : 2.0) * static_cast<double>(labelled * classes));
}

BENCHMARK_TEMPLATE(loss, bench::Quickest, false)->Name("cross_entropy/Simd")->UseRealTime();
BENCHMARK_TEMPLATE(loss, bench::Quickest, true)->Name("cross_entropy_with_gradient/Simd")->UseRealTime();
BENCHMARK_TEMPLATE(loss, backends::Reference, false)->Name("cross_entropy/Reference")->UseRealTime();
BENCHMARK_TEMPLATE(loss, backends::Reference, true)->Name("cross_entropy_with_gradient/Reference")->UseRealTime();

}  // namespace
