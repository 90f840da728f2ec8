// SPDX-License-Identifier: Apache-2.0
// Reference: the specification of every primitive operation. Plain loops over any scalar, complex numbers included.
#pragma once

#include <algorithm>  // min
#include <cstdint>
#include <span>
#include <utility>  // move

#include <graft/core/block.hpp>
#include <graft/core/parallel.hpp>
#include <graft/core/weight.hpp>
#include <graft/ops/activation.hpp>
#include <graft/ops/adamw.hpp>
#include <graft/ops/attention.hpp>
#include <graft/ops/column_scale.hpp>
#include <graft/ops/cross_entropy.hpp>
#include <graft/ops/elementwise.hpp>
#include <graft/ops/gemm.hpp>
#include <graft/ops/orthonormalize.hpp>
#include <graft/ops/rms_norm.hpp>
#include <graft/ops/rope.hpp>
#include <graft/ops/row_scale.hpp>
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

  /// How many carry blocks at once.
  [[nodiscard]] static Index lanes() { return lane_count(); }

  /// What an accelerator sends while this lives runs without anybody waiting, until finish() or its end.
  struct Burst {
    ~Burst() {}
  };
  [[nodiscard]] static Burst burst() { return {}; }  ///< here everything is done when its call returns
  static void finish() {}                            ///< likewise

  // --- segments and tasks -----------------------------------------------------------------------------------------

  /// Rows of the blocks that `rows` rows are cut into: at most block_rows, in an even number of blocks where there are
  /// several, so that two lanes end together. A function of `rows` alone: no result depends on the number of lanes.
  [[nodiscard]] Index rows_of_block(Index rows) const {
    const Index blocks = ceil_div(rows, block_rows);
    return blocks <= 1 ? block_rows : std::min(block_rows, round_up(ceil_div(rows, blocks + blocks % 2), 16));
  }
  /// Calls body(Block) for every block. [whole]
  template <class Body>
  void for_each_block(Index rows, const Body& body) const {
    const Index size = rows_of_block(rows);
    parallel_for(ceil_div(rows, size), [&](Index task, Index lane) {
      const Index begin = task * size;
      body(Block{begin, std::min(size, rows - begin), lane, 0});
    });
  }

  // --- products -----------------------------------------------------------------------------------------------------

  /// c = alpha a b' + beta c with a(M,K), b(N,K).
  template <class A, class T, scalar C>
  void gemm_nt(Same<C> alpha, View<A> a, View<T> b, Same<C> beta, View<C> c) const {
    ops::gemm_nt(alpha, a, b, beta, c);
  }
  /// The same of a frozen b.
  template <storable S, scalar C>
  void gemm_nt(Same<C> alpha, In<S> a, const DenseWeight<S>& b, Same<C> beta, View<C> c) const {
    ops::gemm_nt(alpha, a, b.view(), beta, c);
  }
  /// c = alpha a b + beta c with a(M,K), b(K,N).
  template <class A, class T, scalar C>
  void gemm_nn(Same<C> alpha, View<A> a, View<T> b, Same<C> beta, View<C> c) const {
    ops::gemm_nn(alpha, a, b, beta, c);
  }
  /// The same of a frozen b.
  template <storable S, scalar C>
  void gemm_nn(Same<C> alpha, In<S> a, const DenseWeight<S>& b, Same<C> beta, View<C> c) const {
    ops::gemm_nn(alpha, a, b.view(), beta, c);
  }
  /// c = alpha a' b + beta c with a(K,M), b(K,N): gradients of parameters, rows summed in order. [whole]
  template <scalar C>
  void gemm_tn(Same<C> alpha, In<C> a, In<C> b, Same<C> beta, View<C> c) const {
    ops::gemm_tn(alpha, a, b, beta, c);
  }

  // --- rows ---------------------------------------------------------------------------------------------------------

  /// y = x / rms(x) * (offset + gain), row by row.
  template <scalar T, storable G>
  void rms_norm(const ops::RmsNorm<G>& norm, In<T> x, View<T> y) const {
    ops::rms_norm(norm, x, y);
  }
  /// dx += J' dy.
  template <scalar T, storable G>
  void rms_norm_vjp(const ops::RmsNorm<G>& norm, In<T> x, In<T> dy, View<T> dx) const {
    ops::rms_norm_vjp(norm, x, dy, dx);
  }
  /// dgain += over all rows, in order. [whole]
  template <scalar T>
  void rms_norm_gain_vjp(double epsilon, In<T> x, In<T> dy, View<T> dgain) const {
    ops::rms_norm_gain_vjp(epsilon, x, dy, dgain);
  }
  /// rotations(T,K): cos and sin of position * frequency.
  template <scalar T>
  void rope_rotations(std::span<const Index> positions, std::span<const double> frequencies, View<T> rotations) const {
    ops::rope_rotations(positions, frequencies, rotations);
  }
  /// x(T,H*K), in place: each head turned by rotations(T,K), or back.
  template <scalar T>
  void rope(ops::Turn turn, In<T> rotations, View<T> x) const {
    ops::rope(turn, rotations, x);
  }
  /// a = f(gate) * up, all (T,F).
  template <scalar T>
  void gated_activation(ops::Activation kind, In<T> gate, In<T> up, View<T> a) const {
    ops::gated_activation(kind, gate, up, a);
  }
  /// dgate = da up f'(gate), dup = da f(gate); either may be da itself.
  template <scalar T>
  void gated_activation_vjp(ops::Activation kind, In<T> gate, In<T> up, In<T> da, View<T> dgate, View<T> dup) const {
    ops::gated_activation_vjp(kind, gate, up, da, dgate, dup);
  }
  /// y = f(x); y may be x.
  template <scalar T>
  void activation(ops::Activation kind, In<T> x, View<T> y) const {
    ops::activation(kind, x, y);
  }
  /// dx = dy f'(x); dx may be x or dy.
  template <scalar T>
  void activation_vjp(ops::Activation kind, In<T> x, In<T> dy, View<T> dx) const {
    ops::activation_vjp(kind, x, dy, dx);
  }
  /// logits(N,V), N labels => nll(N,1); where `scale` is not 0 the logits become scale * (softmax - onehot(label)).
  template <scalar T>
  void cross_entropy(View<T> logits, std::span<const std::int32_t> labels, Same<T> scale, View<T> nll) const {
    ops::cross_entropy(logits, labels, scale, nll);
  }
  /// y = x, converted.
  template <class A, storable T>
  void copy(View<A> x, View<T> y) const {
    ops::copy(x, y);
  }
  /// y = value.
  template <scalar T>
  void fill(Same<T> value, View<T> y) const {
    ops::fill(value, y);
  }
  /// y += alpha x.
  template <scalar T>
  void add(Same<T> alpha, In<T> x, View<T> y) const {
    ops::add(alpha, x, y);
  }
  /// y *= alpha.
  template <scalar T>
  void scale(Same<T> alpha, View<T> y) const {
    ops::scale(alpha, y);
  }
  /// y(T,N) = gain(1,N) o x(T,N), column by column; x and y may be the same.
  template <scalar T>
  void multiply_columns(In<T> gain, In<T> x, View<T> y) const {
    ops::multiply_columns(gain, x, y);
  }
  /// Every row of y(T,N) += alpha bias(1,N). @{
  template <class S, scalar T>
  void add_bias(Same<T> alpha, View<S> bias, View<T> y) const {
    ops::add_bias(alpha, bias, y);
  }
  template <class S, scalar T>
  void add_bias(View<S> bias, View<T> y) const {
    ops::add_bias(bias, y);
  }
  /// @}
  /// y(T,N) += (scale(1,N) - 1) x(T,N), column by column: the x within y becomes scale x.
  template <scalar T>
  void rescale_columns(In<T> scale, In<T> x, View<T> y) const {
    ops::rescale_columns(scale, x, y);
  }
  /// y(T,N) = scale(T,1) o x(T,N) + beta y, row by row; x and y may be the same.
  template <scalar T>
  void multiply_rows(In<T> scale, In<T> x, Same<T> beta, View<T> y) const {
    ops::multiply_rows(scale, x, beta, y);
  }
  /// sum(T,1) += the row sums of x o y, both (T,N), columns in order.
  template <scalar T>
  void add_row_dots(In<T> x, In<T> y, View<T> sum) const {
    ops::add_row_dots(x, y, sum);
  }
  /// x = 1 / x, and 0 where it is 0.
  template <scalar T>
  void invert(View<T> x) const {
    ops::invert(x);
  }
  /// sum(1,N) += the column sums of x o y, both (T,N), rows in order: the gradient of a scale.
  template <scalar T>
  void add_column_dots(In<T> x, In<T> y, View<T> sum) const {
    ops::add_column_dots(x, y, sum);
  }
  /// y = x * mask / (1 - rate), the mask a function of `random` and the element's place; this is its gradient too.
  template <scalar T>
  void dropout(double rate, Random random, Index first_row, In<T> x, View<T> y) const {
    ops::dropout(rate, random, first_row, x, y);
  }

  // --- selections ---------------------------------------------------------------------------------------------------

  /// out(i, :) = from(list[i], :), converted.
  template <class I, class S, scalar T>
  void gather_rows(View<S> from, std::span<const I> list, View<T> out) const {
    ops::gather_rows(from, list, out);
  }
  /// The same of a frozen matrix.
  template <class I, storable S, scalar T>
  void gather_rows(const DenseWeight<S>& from, std::span<const I> list, View<T> out) const {
    ops::gather_rows(from.view(), list, out);
  }
  /// onto(list[i], :) = rows(i, :).
  template <class I, scalar T>
  void scatter_rows(In<T> rows, std::span<const I> list, View<T> onto) const {
    ops::scatter_rows(rows, list, onto);
  }
  /// onto(list[i], :) += alpha rows(i, :), in the order of the list.
  template <class I, scalar T>
  void scatter_add_rows(Same<T> alpha, In<T> rows, std::span<const I> list, View<T> onto) const {
    ops::scatter_add_rows(alpha, rows, list, onto);
  }
  /// out(:, j) = from(:, list[j]), converted.
  template <class I, class S, scalar T>
  void gather_cols(View<S> from, std::span<const I> list, View<T> out) const {
    ops::gather_cols(from, list, out);
  }
  /// The same of a frozen matrix.
  template <class I, storable S, scalar T>
  void gather_cols(const DenseWeight<S>& from, std::span<const I> list, View<T> out) const {
    ops::gather_cols(from.view(), list, out);
  }
  /// onto(:, list[j]) += alpha cols(:, j).
  template <class I, scalar T>
  void scatter_add_cols(Same<T> alpha, In<T> cols, std::span<const I> list, View<T> onto) const {
    ops::scatter_add_cols(alpha, cols, list, onto);
  }

  /// x(i, j) = 0 where bit j of bits[i] is 0.
  template <scalar T>
  void keep_cols(std::span<const std::uint64_t> bits, View<T> x) const {
    ops::keep_cols(bits, x);
  }

  // --- attention ----------------------------------------------------------------------------------------------------

  /// q(T,H*K), k(S,G*K), v(S,G*K) => o(T,H*K), lse(T,H). [whole]
  template <scalar T>
  void attention(const ops::AttentionShape& shape, std::span<const ops::AttentionSpan> spans, In<T> q, In<T> k, In<T> v,
                 View<T> o, View<T> lse) const {
    ops::attention(shape, spans, q, k, v, o, lse);
  }
  /// dq, dk and dv, overwritten, from o, lse and d_o. [whole]
  template <scalar T>
  void attention_vjp(const ops::AttentionShape& shape, std::span<const ops::AttentionSpan> spans, In<T> q, In<T> k,
                     In<T> v, In<T> o, In<T> lse, In<T> d_o, View<T> dq, View<T> dk, View<T> dv) const {
    ops::attention_vjp(shape, spans, q, k, v, o, lse, d_o, dq, dk, dv);
  }

  // --- parameters ---------------------------------------------------------------------------------------------------

  /// sum(1,N) += alpha times the column sums of y(T,N), rows in order. [whole]
  template <scalar T>
  void add_column_sums(Same<T> alpha, In<T> y, View<T> sum) const {
    ops::add_column_sums(alpha, y, sum);
  }
  /// Sum of squares, in double. [whole]
  template <class A>
  [[nodiscard]] double squared_norm(View<A> x) const {
    return ops::squared_norm(x);
  }
  /// Of several matrices together. [whole]
  template <class A>
  [[nodiscard]] double squared_norm(std::span<const View<A>> all) const {
    double sum = 0;
    for (const View<A>& x : all) {
      sum += ops::squared_norm(x);
    }
    return sum;
  }
  /// n(1,T): the norms of the rows of x(T,N), their squares summed in double.
  template <scalar T>
  void row_norms(In<T> x, View<T> n) const {
    ops::row_norms(x, n);
  }
  /// One step of ops::adamw on value, with its moments m and v. [whole]
  template <std::floating_point T>
  void adamw(const ops::AdamWStep& step, Same<T> scale, In<T> gradient, View<T> m, View<T> v, View<T> value) const {
    ops::adamw(step, scale, gradient, m, v, value);
  }
  /// rows(r,d) become orthonormal; scratch(4r,d). [whole]
  template <scalar T>
  void orthonormalize(View<T> rows, View<T> scratch) const {
    ops::orthonormalize(rows, scratch);
  }
};

}  // namespace graft::backends
