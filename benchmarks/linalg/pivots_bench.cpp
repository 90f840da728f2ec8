// SPDX-License-Identifier: Apache-2.0
// Skeletons of random matrices of a 7B model's shapes, by pivoted Cholesky of the lazily formed Gram matrix, beside Eigen's
// column-pivoted QR, which cannot stop early. Work is counted as that of k rows of the Gram matrix, 2 k N M.
#include <benchmark/benchmark.h>

#include <utility>  // as_const

#include <Eigen/QR>  // ColPivHouseholderQR

#include <graft/linalg/eigen.hpp>
#include <graft/linalg/pivoted_qr.hpp>

#include "../support/roof.hpp"

using namespace graft;

namespace {

template <class S>
const Tensor<S>& matrix(Index rows, Index cols) {
  static Tensor<S> last;
  if (last.rows() != rows || last.cols() != cols) {
    last = Tensor<S>(rows, cols);
    const Random random(1);
    parallel_for(rows, [&](Index i, Index) {
      for (Index j = 0; j < cols; ++j) {
        last(i, j) = S(static_cast<float>(random.normal(static_cast<std::uint64_t>(i * cols + j))));
      }
    });
  }
  return last;
}

void report(benchmark::State& state, Index k, Index rows, Index cols) {
  bench::report_flops(state, 2.0 * static_cast<double>(k * rows * cols));
}

/// Arguments: N, M, k.
template <class S, bool rows>
void pivots(benchmark::State& state) {
  const Tensor<S>& w = matrix<S>(state.range(0), state.range(1));
  const bench::Quickest be;
  for (auto _ : state) {
    benchmark::DoNotOptimize(rows ? linalg::row_pivots(be, w.view(), state.range(2))
                                  : linalg::column_pivots(be, w.view(), state.range(2)));
  }
  report(state, state.range(2), w.rows(), w.cols());
}

/// Arguments: N, M, k, which is all of them.
void eigen(benchmark::State& state) {
  const Tensor<float>& w = matrix<float>(state.range(0), state.range(1));
  const linalg::EigenMatrix<float> a = linalg::as_eigen(w.view());
  for (auto _ : state) {
    const Eigen::ColPivHouseholderQR<Eigen::MatrixXf> qr(a);
    benchmark::DoNotOptimize(qr.colsPermutation().indices().data());
  }
  report(state, state.range(2), w.rows(), w.cols());
}

void shapes(benchmark::internal::Benchmark* row) {
  row->ArgNames({"N", "M", "k"})->UseRealTime()->Unit(benchmark::kMillisecond);
  for (const auto& [n, m] : {std::pair<Index, Index>{1024, 4096}, {4096, 4096}, {14336, 4096}, {4096, 14336}}) {
    row->Args({n, m, 640});
  }
}
void against_eigen(benchmark::internal::Benchmark* row) {
  row->ArgNames({"N", "M", "k"})->UseRealTime()->Unit(benchmark::kMillisecond);
  row->Args({512, 512, 512})->Args({1024, 1024, 1024});
}

BENCHMARK_TEMPLATE(pivots, float, true)->Name("pivots/rows/fp32")->Apply(shapes);
BENCHMARK_TEMPLATE(pivots, float, false)->Name("pivots/columns/fp32")->Apply(shapes);
BENCHMARK_TEMPLATE(pivots, bf16, true)->Name("pivots/rows/bf16")->Apply(shapes);
BENCHMARK_TEMPLATE(pivots, bf16, false)->Name("pivots/columns/bf16")->Apply(shapes);
BENCHMARK_TEMPLATE(pivots, float, false)->Name("pivots/columns/all")->Apply(against_eigen);
BENCHMARK(eigen)->Name("pivots/columns/eigen")->Apply(against_eigen);

}  // namespace
