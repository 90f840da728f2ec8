// SPDX-License-Identifier: Apache-2.0
// Skeletons of random matrices of a 7B model's shapes, by pivoted Cholesky of the lazily formed Gram matrix, beside Eigen's
// column-pivoted QR, which cannot stop early. Work is counted as that of k rows of the Gram matrix, 2 k N M; of_needed says how
// much more or less was multiplied, whatever else the machine does. pivots/mistral-7b/fp32 and bf16: seconds for a whole model,
// `linalg_pivots_bench --benchmark_filter=mistral`. bf16 is multiplied as it is where the processor does that, else widened.
#include <benchmark/benchmark.h>

#include <array>
#include <atomic>
#include <cmath>    // exp
#include <ctime>    // clock
#include <utility>  // as_const
#include <vector>

#include <Eigen/QR>  // ColPivHouseholderQR

#include <graft/linalg/eigen.hpp>
#include <graft/linalg/pivoted_qr.hpp>

#include "../support/roof.hpp"

using namespace graft;

namespace {

/// Counts the multiplications of its products.
struct Counting : bench::Quickest {
  std::atomic<Index>* products = nullptr;

  template <class A, class T, class C>
  void gemm_nt(Same<C> alpha, View<A> a, View<T> b, Same<C> beta, View<C> c) const {
    *products += c.size() * a.cols;
    bench::Quickest::gemm_nt(alpha, a, b, beta, c);
  }
  template <class A, class T, class C>
  void gemm_nn(Same<C> alpha, View<A> a, View<T> b, Same<C> beta, View<C> c) const {
    *products += c.size() * a.cols;
    bench::Quickest::gemm_nn(alpha, a, b, beta, c);
  }
};

/// Normal numbers; the lengths of rows and columns are log-normal with deviations `uneven`, of the logarithm.
template <class S>
const Tensor<S>& matrix(Index rows, Index cols, double uneven = 0) {
  static Tensor<S> last;
  static double last_uneven = -1;
  if (last.rows() != rows || last.cols() != cols || last_uneven != uneven) {
    last = Tensor<S>(rows, cols);
    last_uneven = uneven;
    const Random random(1);
    const Random of_rows(2), of_cols(3);
    const auto length = [uneven](const Random& of, Index i) {
      return std::exp(uneven * of.normal(static_cast<std::uint64_t>(i)));
    };
    std::vector<double> across;
    for (Index j = 0; j < cols; ++j) {
      across.push_back(length(of_cols, j));
    }
    parallel_for(rows, [&](Index i, Index) {
      const double down = length(of_rows, i);
      for (Index j = 0; j < cols; ++j) {
        last(i, j) = S(static_cast<float>(down * across[static_cast<std::size_t>(j)] *
                                          random.normal(static_cast<std::uint64_t>(i * cols + j))));
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
  std::atomic<Index> products = 0;
  Counting be;
  be.products = &products;
  for (auto _ : state) {
    products = 0;
    benchmark::DoNotOptimize(rows ? linalg::row_pivots(be, w.view(), state.range(2))
                                  : linalg::column_pivots(be, w.view(), state.range(2)));
  }
  report(state, state.range(2), w.rows(), w.cols());
  state.counters["of_needed"] =
      static_cast<double>(products) / static_cast<double>(state.range(2) * w.rows() * w.cols());
}

/// Seconds for rows and columns of the 224 matrices of a Mistral-7B, k = 640: each shape once, times how often it stands there.
template <class S, bool trained>
void whole_model(benchmark::State& state) {
  constexpr double uneven = trained ? 0.12 : 0;  // medians over SmolLM2's 210 matrices: 0.15 of rows, 0.11 of columns
  struct Shape {
    Index n, m;
    double matrices;
  };
  const bench::Quickest be;
  double processor = 0;
  for (auto _ : state) {
    double seconds = 0;
    for (const auto& [n, m, matrices] :
         std::array<Shape, 4>{{{4096, 4096, 64}, {1024, 4096, 64}, {14336, 4096, 64}, {4096, 14336, 32}}}) {
      const Tensor<S>& w = matrix<S>(n, m, uneven);
      const std::clock_t begin = std::clock();
      seconds += matrices * bench::seconds_of([&] {
                   benchmark::DoNotOptimize(linalg::row_pivots(be, w.view(), 640));
                   benchmark::DoNotOptimize(linalg::column_pivots(be, w.view(), 640));
                 });
      processor += matrices * static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
    }
    state.SetIterationTime(seconds);
  }
  state.counters["processor_s"] = processor / static_cast<double>(state.iterations());  // of all threads
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

void whole(benchmark::internal::Benchmark* row) {
  row->UseManualTime()->Iterations(1)->Unit(benchmark::kSecond);
}
BENCHMARK_TEMPLATE(whole_model, float, false)->Name("pivots/mistral-7b/fp32")->Apply(whole);
BENCHMARK_TEMPLATE(whole_model, bf16, false)->Name("pivots/mistral-7b/bf16")->Apply(whole);
BENCHMARK_TEMPLATE(whole_model, float, true)->Name("pivots/mistral-7b/uneven/fp32")->Apply(whole);
BENCHMARK_TEMPLATE(whole_model, bf16, true)->Name("pivots/mistral-7b/uneven/bf16")->Apply(whole);
BENCHMARK_TEMPLATE(pivots, float, true)->Name("pivots/rows/fp32")->Apply(shapes);
BENCHMARK_TEMPLATE(pivots, float, false)->Name("pivots/columns/fp32")->Apply(shapes);
BENCHMARK_TEMPLATE(pivots, bf16, true)->Name("pivots/rows/bf16")->Apply(shapes);
BENCHMARK_TEMPLATE(pivots, bf16, false)->Name("pivots/columns/bf16")->Apply(shapes);
BENCHMARK_TEMPLATE(pivots, float, false)->Name("pivots/columns/all")->Apply(against_eigen);
BENCHMARK(eigen)->Name("pivots/columns/eigen")->Apply(against_eigen);

}  // namespace
