// SPDX-License-Identifier: Apache-2.0
// EigenGemm: the gemm door to Eigen. Needs a header library only; runs on the instruction set that the program is compiled for.
#pragma once

#include <Eigen/Core>

#include <graft/backends/gemm/calling_thread.hpp>
#include <graft/core/view.hpp>

namespace graft::backends {

/// c = alpha op(a) op(b) + beta c on row-major views, on the calling thread; beta 0 ignores c. bf16 operands are widened
/// by Simd: Eigen has no bf16 product.
struct EigenGemm {
  [[nodiscard]] static constexpr bool multiplies_bf16() { return false; }  ///< Simd widens them

  /// c = alpha a b' + beta c.
  static void nt(float alpha, View<const float> a, View<const float> b, float beta, View<float> c) {
    multiply(alpha, map(a), map(b).transpose(), beta, c);
  }
  /// c = alpha a b + beta c.
  static void nn(float alpha, View<const float> a, View<const float> b, float beta, View<float> c) {
    multiply(alpha, map(a), map(b), beta, c);
  }
  /// c = alpha a' b + beta c.
  static void tn(float alpha, View<const float> a, View<const float> b, float beta, View<float> c) {
    multiply(alpha, map(a).transpose(), map(b), beta, c);
  }

 private:
  using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

  template <class M>
  using Map = Eigen::Map<M, Eigen::Unaligned, Eigen::OuterStride<>>;

  static Map<const Matrix> map(View<const float> x) { return {x.data, x.rows, x.cols, Eigen::OuterStride<>(x.stride)}; }
  template <class A, class B>
  static void multiply(float alpha, const A& a, const B& b, float beta, View<float> c) {
    const CallingThreadOnly scope;
    Map<Matrix> result(c.data, c.rows, c.cols, Eigen::OuterStride<>(c.stride));
    if (beta == 0.0f) {
      result.noalias() = alpha * (a * b);
      return;
    }
    if (beta != 1.0f) {
      result *= beta;
    }
    result.noalias() += alpha * (a * b);
  }
};

}  // namespace graft::backends
