// SPDX-License-Identifier: Apache-2.0
// Reference: the specification of every primitive operation. Plain loops over any scalar, complex numbers included.
#pragma once

#include <algorithm>  // min
#include <cstdint>
#include <span>
#include <utility>    // move

#include <graft/core/block.hpp>
#include <graft/core/parallel.hpp>
#include <graft/core/weight.hpp>
#include <graft/ops/activation.hpp>
#include <graft/ops/adamw.hpp>
#include <graft/ops/attention.hpp>
#include <graft/ops/cross_entropy.hpp>
#include <graft/ops/elementwise.hpp>
#include <graft/ops/gemm.hpp>
#include <graft/ops/orthonormalize.hpp>
#include <graft/ops/rms_norm.hpp>
#include <graft/ops/rope.hpp>
#include <graft/ops/select.hpp>

namespace graft::backends {

/// Forwards to ops/. Operations marked [whole] are called from outside a segment and may be parallel themselves; all
/// others act on the rows of one block, inside for_each_block.
struct Reference {
  /// How this backend keeps a frozen matrix.
  template <storable S>
  using Weight = DenseWeight<S>;

  /// Rows that one lane carries through a segment (architecture, idea 11).
  Index block_rows = 128;

  // --- segments and tasks -----------------------------------------------------------------------------------------

  /// Calls body(Block) for every run of block_rows rows. [whole]
  template <class Body>
  void for_each_block(Index rows, const Body& body) const {
    parallel_for(ceil_div(rows, block_rows), [&](Index task, Index lane) {
      const Index begin = task * block_rows;
      body(Block{begin, std::min(block_rows, rows - begin), lane, 0});
    });
  }

  // --- products -----------------------------------------------------------------------------------------------------

  /// c = alpha a b' + beta c with a(M,K), b(N,K).
  template <storable A, storable T, scalar C>
  void gemm_nt(C alpha, View<const A> a, View<const T> b, C beta, View<C> c) const {
    ops::gemm_nt(alpha, a, b, beta, c);
  }
  template <storable S, scalar C>
  void gemm_nt(C alpha, View<const S> a, const DenseWeight<S>& b, C beta, View<C> c) const {
    ops::gemm_nt(alpha, a, b.view(), beta, c);
  }
  /// c = alpha a b + beta c with a(M,K), b(K,N).
  template <storable A, storable T, scalar C>
  void gemm_nn(C alpha, View<const A> a, View<const T> b, C beta, View<C> c) const {
    ops::gemm_nn(alpha, a, b, beta, c);
  }
  template <storable S, scalar C>
  void gemm_nn(C alpha, View<const S> a, const DenseWeight<S>& b, C beta, View<C> c) const {
    ops::gemm_nn(alpha, a, b.view(), beta, c);
  }
  /// c = alpha a' b + beta c with a(K,M), b(K,N): gradients of parameters, rows summed in order. [whole]
  template <scalar C>
  void gemm_tn(C alpha, View<const C> a, View<const C> b, C beta, View<C> c) const {
    ops::gemm_tn(alpha, a, b, beta, c);
  }

  // --- rows ---------------------------------------------------------------------------------------------------------

  template <scalar T, storable G>
  void rms_norm(const ops::RmsNorm<G>& norm, View<const T> x, View<T> y) const {
    ops::rms_norm(norm, x, y);
  }
  /// dx += J' dy.
  template <scalar T, storable G>
  void rms_norm_vjp(const ops::RmsNorm<G>& norm, View<const T> x, View<const T> dy, View<T> dx) const {
    ops::rms_norm_vjp(norm, x, dy, dx);
  }
  /// dgain += over all rows, in order. [whole]
  template <scalar T>
  void rms_norm_gain_vjp(double epsilon, View<const T> x, View<const T> dy, View<T> dgain) const {
    ops::rms_norm_gain_vjp(epsilon, x, dy, dgain);
  }
  template <scalar T>
  void rope_rotations(std::span<const Index> positions, std::span<const double> frequencies, View<T> rotations) const {
    ops::rope_rotations(positions, frequencies, rotations);
  }
  template <scalar T>
  void rope(ops::Turn turn, View<const T> rotations, View<T> x) const {
    ops::rope(turn, rotations, x);
  }
  template <scalar T>
  void gated_activation(ops::Activation kind, View<const T> gate, View<const T> up, View<T> a) const {
    ops::gated_activation(kind, gate, up, a);
  }
  template <scalar T>
  void gated_activation_vjp(ops::Activation kind, View<const T> gate, View<const T> up, View<const T> da,
                            View<T> dgate, View<T> dup) const {
    ops::gated_activation_vjp(kind, gate, up, da, dgate, dup);
  }
  template <scalar T>
  void cross_entropy(View<T> logits, std::span<const std::int32_t> labels, T scale, View<T> nll) const {
    ops::cross_entropy(logits, labels, scale, nll);
  }
  template <storable A, storable T>
  void copy(View<const A> x, View<T> y) const {
    ops::copy(x, y);
  }
  template <scalar T>
  void fill(T value, View<T> y) const {
    ops::fill(value, y);
  }
  template <scalar T>
  void add(T alpha, View<const T> x, View<T> y) const {
    ops::add(alpha, x, y);
  }
  template <scalar T>
  void scale(T alpha, View<T> y) const {
    ops::scale(alpha, y);
  }
  template <storable S, scalar T>
  void add_bias(View<const S> bias, View<T> y) const {
    ops::add_bias(bias, y);
  }
  template <scalar T>
  void dropout(double rate, Random random, Index first_row, View<const T> x, View<T> y) const {
    ops::dropout(rate, random, first_row, x, y);
  }

  // --- selections ---------------------------------------------------------------------------------------------------

  template <class I, storable S, scalar T>
  void gather_rows(View<const S> from, std::span<const I> list, View<T> out) const {
    ops::gather_rows(from, list, out);
  }
  template <class I, storable S, scalar T>
  void gather_rows(const DenseWeight<S>& from, std::span<const I> list, View<T> out) const {
    ops::gather_rows(from.view(), list, out);
  }
  template <class I, scalar T>
  void scatter_rows(View<const T> rows, std::span<const I> list, View<T> onto) const {
    ops::scatter_rows(rows, list, onto);
  }
  template <class I, scalar T>
  void scatter_add_rows(T alpha, View<const T> rows, std::span<const I> list, View<T> onto) const {
    ops::scatter_add_rows(alpha, rows, list, onto);
  }
  template <class I, storable S, scalar T>
  void gather_cols(View<const S> from, std::span<const I> list, View<T> out) const {
    ops::gather_cols(from, list, out);
  }
  template <class I, storable S, scalar T>
  void gather_cols(const DenseWeight<S>& from, std::span<const I> list, View<T> out) const {
    ops::gather_cols(from.view(), list, out);
  }
  template <class I, scalar T>
  void scatter_add_cols(T alpha, View<const T> cols, std::span<const I> list, View<T> onto) const {
    ops::scatter_add_cols(alpha, cols, list, onto);
  }

  // --- attention ----------------------------------------------------------------------------------------------------

  /// [whole]
  template <scalar T>
  void attention(const ops::AttentionShape& shape, std::span<const ops::AttentionSpan> spans, View<const T> q,
                 View<const T> k, View<const T> v, View<T> o, View<T> lse) const {
    ops::attention(shape, spans, q, k, v, o, lse);
  }
  /// [whole]
  template <scalar T>
  void attention_vjp(const ops::AttentionShape& shape, std::span<const ops::AttentionSpan> spans, View<const T> q,
                     View<const T> k, View<const T> v, View<const T> o, View<const T> lse, View<const T> d_o,
                     View<T> dq, View<T> dk, View<T> dv) const {
    ops::attention_vjp(shape, spans, q, k, v, o, lse, d_o, dq, dk, dv);
  }

  // --- parameters ---------------------------------------------------------------------------------------------------

  /// sum(1,N) += alpha times the column sums of y(T,N), rows in order. [whole]
  template <scalar T>
  void add_column_sums(T alpha, View<const T> y, View<T> sum) const {
    ops::add_column_sums(alpha, y, sum);
  }
  /// [whole]
  template <scalar T>
  [[nodiscard]] double squared_norm(View<const T> x) const {
    return ops::squared_norm(x);
  }
  /// [whole]
  template <std::floating_point T>
  void adamw(const ops::AdamWStep& step, T scale, View<const T> gradient, View<T> m, View<T> v, View<T> value) const {
    ops::adamw(step, scale, gradient, m, v, value);
  }
  /// rows(r,d) become orthonormal; scratch(4r,d). [whole]
  template <scalar T>
  void orthonormalize(View<T> rows, View<T> scratch) const {
    ops::orthonormalize(rows, scratch);
  }
};

}  // namespace graft::backends
