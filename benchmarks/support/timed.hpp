// SPDX-License-Identifier: Apache-2.0
// Timed: any backend with a clock around each operation: where the time of a step goes, on the threads that spend it.
#pragma once

#include <algorithm>  // fill_n
#include <array>
#include <chrono>
#include <cstddef>
#include <string_view>
#include <utility>  // forward
#include <vector>

#include <graft/backends/gemm/calling_thread.hpp>
#include <graft/core/parallel.hpp>
#include <graft/core/weight.hpp>

namespace graft::bench {

/// What an operation is counted as.
enum class Work : std::size_t { frozen_products, head_products, adapter_products, attention, loss, rows, parameters };
/// Their names, in order.
inline constexpr std::array<std::string_view, 7> work_names = {
    "frozen products", "head products", "adapter products", "attention", "loss", "rows", "parameters"};

/// Thread seconds by kind of work. Operations that the calling thread shares out itself count on all of them.
class Clock {
 public:
  using Seconds = std::array<double, work_names.size()>;  ///< by kind

  Clock() : lanes_(static_cast<std::size_t>(lane_count())) {}
  /// Runs body() and counts it.
  template <class Body>
  decltype(auto) count(Work kind, const Body& body) {
    struct Stop {
      Clock& clock;
      std::size_t kind;
      std::chrono::steady_clock::time_point begin = std::chrono::steady_clock::now();
      ~Stop() {
        const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
        clock.add(kind, seconds);
      }
    } stop{*this, static_cast<std::size_t>(kind)};
    return body();
  }
  /// Everything counted so far.
  [[nodiscard]] Seconds total() const {
    Seconds sum{};
    for (const Lane& lane : lanes_) {
      for (std::size_t k = 0; k < sum.size(); ++k) {
        sum[k] += lane.seconds[k];
      }
    }
    return sum;
  }
  void reset() { lanes_.assign(lanes_.size(), {}); }

 private:
  struct alignas(64) Lane {
    Seconds seconds{};
  };
  void add(std::size_t kind, double seconds) {
#if defined(_OPENMP)
    const bool shared = !in_parallel();
    lanes_[static_cast<std::size_t>(omp_get_thread_num())].seconds[kind] +=
        shared ? seconds * static_cast<double>(lanes_.size()) : seconds;
#else
    lanes_[0].seconds[kind] += seconds;
#endif
  }
  std::vector<Lane> lanes_;
};

/// A backend that does what B does and counts it.
template <class B>
struct Timed : B {
  /// Of all objects of this type.
  static Clock& clock() {
    static Clock one;
    return one;
  }

#define GRAFT_TIMED(operation, kind)                                                                               \
  template <class... Arguments>                                                                                    \
  decltype(auto) operation(Arguments&&... arguments) const {                                                       \
    return clock().count(Work::kind,                                                                               \
                         [&]() -> decltype(auto) { return B::operation(std::forward<Arguments>(arguments)...); }); \
  }
  GRAFT_TIMED(attention, attention)
  GRAFT_TIMED(attention_vjp, attention)
  GRAFT_TIMED(cross_entropy, loss)
  GRAFT_TIMED(rms_norm, rows)
  GRAFT_TIMED(rms_norm_vjp, rows)
  GRAFT_TIMED(rope, rows)
  GRAFT_TIMED(gated_activation, rows)
  GRAFT_TIMED(gated_activation_vjp, rows)
  GRAFT_TIMED(copy, rows)
  GRAFT_TIMED(add_bias, rows)
  GRAFT_TIMED(gather_rows, rows)
  GRAFT_TIMED(gather_cols, rows)
  GRAFT_TIMED(scatter_rows, rows)
  GRAFT_TIMED(squared_norm, parameters)
  GRAFT_TIMED(adamw, parameters)
  GRAFT_TIMED(orthonormalize, parameters)
#undef GRAFT_TIMED

#define GRAFT_TIMED_BY_FACTOR(operation)                                                             \
  template <class... Arguments>                                                                      \
  void operation(float factor, Arguments&&... arguments) const {                                     \
    clock().count(Work::rows, [&] { B::operation(factor, std::forward<Arguments>(arguments)...); }); \
  }
  GRAFT_TIMED_BY_FACTOR(fill)
  GRAFT_TIMED_BY_FACTOR(add)
  GRAFT_TIMED_BY_FACTOR(scale)
  GRAFT_TIMED_BY_FACTOR(add_column_sums)
  GRAFT_TIMED_BY_FACTOR(scatter_add_rows)
  GRAFT_TIMED_BY_FACTOR(scatter_add_cols)
#undef GRAFT_TIMED_BY_FACTOR

  template <class A, class W>
  void gemm_nt(float alpha, A a, const W& b, float beta, View<float> c) const {
    clock().count(kind_of(b), [&] { B::gemm_nt(alpha, a, b, beta, c); });
  }
  template <class A, class W>
  void gemm_nn(float alpha, A a, const W& b, float beta, View<float> c) const {
    clock().count(kind_of(b), [&] { B::gemm_nn(alpha, a, b, beta, c); });
  }
  template <class A, class W>
  void gemm_tn(float alpha, A a, W b, float beta, View<float> c) const {
    clock().count(Work::adapter_products, [&] { B::gemm_tn(alpha, a, b, beta, c); });
  }

 private:
  template <class S>
  static Work kind_of(const DenseWeight<S>& weight) {
    return weight.rows() > 8 * weight.cols() ? Work::head_products : Work::frozen_products;
  }
  template <class T>
  static Work kind_of(View<T>) {
    return Work::adapter_products;
  }
};

}  // namespace graft::bench
