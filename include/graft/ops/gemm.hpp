// SPDX-License-Identifier: Apache-2.0
// gemm: the three products of a linear map, (M,K) x (N,K) => (M,N) forward and its two gradients, with fp32 or wider sums.
#pragma once

#include <graft/base/require.hpp>
#include <graft/core/scalar.hpp>
#include <graft/core/view.hpp>

namespace graft::ops {

/// c = alpha a b' + beta c with a(M,K), b(N,K), c(M,N): y = x W' of a weight that stands out x in. beta 0 ignores c.
template <class A, class B, scalar C>
void gemm_nt(Same<C> alpha, View<A> a, View<B> b, Same<C> beta, View<C> c) {
  require(a.cols == b.cols && c.rows == a.rows && c.cols == b.rows, "shape.120",
          "gemm_nt: a(M,K), b(N,K) and c(M,N) disagree");
  for (Index i = 0; i < c.rows; ++i) {
    for (Index j = 0; j < c.cols; ++j) {
      C sum{};
      for (Index k = 0; k < a.cols; ++k) {
        sum += to<C>(a(i, k)) * to<C>(b(j, k));
      }
      c(i, j) = alpha * sum + (beta == C{} ? C{} : beta * c(i, j));
    }
  }
}

/// c = alpha a b + beta c with a(M,K), b(K,N), c(M,N): dx = dy W.
template <class A, class B, scalar C>
void gemm_nn(Same<C> alpha, View<A> a, View<B> b, Same<C> beta, View<C> c) {
  require(a.cols == b.rows && c.rows == a.rows && c.cols == b.cols, "shape.120",
          "gemm_nn: a(M,K), b(K,N) and c(M,N) disagree");
  for (Index i = 0; i < c.rows; ++i) {
    for (Index j = 0; j < c.cols; ++j) {
      C sum{};
      for (Index k = 0; k < a.cols; ++k) {
        sum += to<C>(a(i, k)) * to<C>(b(k, j));
      }
      c(i, j) = alpha * sum + (beta == C{} ? C{} : beta * c(i, j));
    }
  }
}

/// c = alpha a' b + beta c with a(K,M), b(K,N), c(M,N): dW = dy' x, summed over the K rows in order.
template <class A, class B, scalar C>
void gemm_tn(Same<C> alpha, View<A> a, View<B> b, Same<C> beta, View<C> c) {
  require(a.rows == b.rows && c.rows == a.cols && c.cols == b.cols, "shape.120",
          "gemm_tn: a(K,M), b(K,N) and c(M,N) disagree");
  for (Index i = 0; i < c.rows; ++i) {
    for (Index j = 0; j < c.cols; ++j) {
      C sum{};
      for (Index k = 0; k < a.rows; ++k) {
        sum += to<C>(a(k, i)) * to<C>(b(k, j));
      }
      c(i, j) = alpha * sum + (beta == C{} ? C{} : beta * c(i, j));
    }
  }
}

}  // namespace graft::ops
