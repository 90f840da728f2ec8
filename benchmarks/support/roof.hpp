// SPDX-License-Identifier: Apache-2.0
// The roofs of this machine, measured in the same run: the gemm rate of the quickest door and the bandwidth of a copy.
#pragma once

#include <algorithm>  // min
#include <chrono>

#include <benchmark/benchmark.h>

#include <graft/backend.hpp>
#include <graft/backends/gemm/eigen.hpp>
#include <graft/core/random.hpp>
#include <graft/core/tensor.hpp>

#include "quickest.hpp"

namespace graft::bench {

using OverEigen = backends::Simd<backends::EigenGemm>;

/// Uniform numbers in [-1, 1].
inline Tensor<float> numbers(Index rows, Index cols, std::uint64_t seed) {
  Tensor<float> x(rows, cols);
  const Random random(seed);
  for (Index i = 0; i < x.size(); ++i) {
    x.data()[i] = static_cast<float>(2.0 * random.uniform(static_cast<std::uint64_t>(i)) - 1.0);
  }
  return x;
}

/// Seconds that one call takes.
template <class Body>
[[nodiscard]] double seconds_of(const Body& body) {
  const auto begin = std::chrono::steady_clock::now();
  body();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

/// The shortest of `times` calls, in seconds.
template <class Body>
[[nodiscard]] double shortest(int times, const Body& body) {
  double best = seconds_of(body);
  for (int k = 1; k < times; ++k) {
    best = std::min(best, seconds_of(body));
  }
  return best;
}

/// FLOP/s of (1024 x 1024) times (1024 x 1024), rows shared among the threads.
inline double gemm_roof() {
  static const double rate = [] {
    const Quickest be;
    const Tensor<float> a = numbers(1024, 1024, 1);
    const Tensor<float> b = numbers(1024, 1024, 2);
    Tensor<float> c(1024, 1024);
    return 2.0 * 1024.0 * 1024.0 * 1024.0 / shortest(20, [&] {
             be.for_each_block(1024, [&](Block block) {
               be.gemm_nn(1.0f, a.view().middle_rows(block.begin, block.rows), b.view(), 0.0f,
                          c.view().middle_rows(block.begin, block.rows));
             });
           });
  }();
  return rate;
}

/// Bytes/s of y += x over 256 MiB: two read, one written.
inline double bandwidth_roof() {
  static const double rate = [] {
    const Quickest be;
    const Tensor<float> x = numbers(8192, 4096, 1);
    Tensor<float> y(8192, 4096);
    return 3.0 * 4.0 * static_cast<double>(x.size()) / shortest(8, [&] {
             be.for_each_block(x.rows(), [&](Block block) {
               be.add(1.0f, x.view().middle_rows(block.begin, block.rows),
                      y.view().middle_rows(block.begin, block.rows));
             });
           });
  }();
  return rate;
}

/// Bytes/s of reading x once: the sum of squares.
template <class B>
[[nodiscard]] double read_rate(const B& be, View<const float> x) {
  double sum = 0;
  const double seconds = shortest(8, [&] { sum += be.squared_norm(x); });
  benchmark::DoNotOptimize(sum);
  return 4.0 * static_cast<double>(x.size()) / seconds;
}
/// Of 256 MiB, by the processor.
inline double read_roof() {
  static const double rate = read_rate(Quickest(), numbers(16384, 4096, 1).view());
  return rate;
}

/// Counters of a row that computes `flops` an iteration.
inline void report_flops(benchmark::State& state, double flops) {
  const double total = flops * static_cast<double>(state.iterations());
  state.counters["GFLOP/s"] = benchmark::Counter(total * 1e-9, benchmark::Counter::kIsRate);
  state.counters["of_gemm_roof"] = benchmark::Counter(total / gemm_roof(), benchmark::Counter::kIsRate);
}

/// Counters of a row that moves `bytes` an iteration.
inline void report_bytes(benchmark::State& state, double bytes) {
  const double total = bytes * static_cast<double>(state.iterations());
  state.counters["GB/s"] = benchmark::Counter(total * 1e-9, benchmark::Counter::kIsRate);
  state.counters["of_bandwidth"] = benchmark::Counter(total / bandwidth_roof(), benchmark::Counter::kIsRate);
}

}  // namespace graft::bench
