// SPDX-License-Identifier: Apache-2.0
// LAPACK's sgeqp3, which graft's pivots replace: the same matrices as linalg/pivots_bench.cpp, all pivots, since it cannot stop
// early. Built where CMake finds LAPACK; which one decides the figures (the reference LAPACK knows no threads).
#include <benchmark/benchmark.h>

#include <algorithm>  // fill
#include <vector>

#include <graft/core/random.hpp>
#include <graft/core/tensor.hpp>

extern "C" void sgeqp3_(const int* rows, const int* cols, float* a, const int* stride, int* pivots, float* tau,
                        float* work, const int* room, int* info);

using namespace graft;

namespace {

/// Arguments: N, M. Column-major N x M is the transpose of a row-major weight (M,N), so these are its rows' pivots.
void geqp3(benchmark::State& state) {
  const int n = static_cast<int>(state.range(0));
  const int m = static_cast<int>(state.range(1));
  Tensor<float> start(m, n);
  const Random random(1);
  for (Index i = 0; i < start.size(); ++i) {
    start.data()[i] = static_cast<float>(random.normal(static_cast<std::uint64_t>(i)));
  }
  const int room = 64 * (m + 1);
  std::vector<float> tau(static_cast<std::size_t>(std::min(n, m)));
  std::vector<float> work(static_cast<std::size_t>(room));
  std::vector<int> pivots(static_cast<std::size_t>(m));
  int info = 0;
  for (auto _ : state) {
    state.PauseTiming();
    Tensor<float> a = start.clone();
    std::fill(pivots.begin(), pivots.end(), 0);
    state.ResumeTiming();
    sgeqp3_(&n, &m, a.data(), &n, pivots.data(), tau.data(), work.data(), &room, &info);
    benchmark::DoNotOptimize(pivots.data());
  }
}

BENCHMARK(geqp3)
    ->ArgNames({"N", "M"})
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond)
    ->Args({512, 512})
    ->Args({1024, 1024});

}  // namespace
