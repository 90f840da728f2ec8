// SPDX-License-Identifier: Apache-2.0
// DecoderBlock: r = x + o(attention(q, k, v of norm(x))), next = r + down(f(gate) * up of norm(r)), forward and backward.
// Two segments of rows with the attention between them; no temporary outlives the segment unless somebody reads it later.
#pragma once

#include <concepts>
#include <span>
#include <utility>  // as_const

#include <graft/core/reach.hpp>
#include <graft/core/site.hpp>
#include <graft/layers/linear.hpp>
#include <graft/ops/activation.hpp>
#include <graft/ops/attention.hpp>
#include <graft/ops/rms_norm.hpp>
#include <graft/ops/rope.hpp>

namespace graft::layers {

/// What all blocks of one pass share.
template <scalar C>
struct BatchPass {
  Index tokens = 0;                           ///< T
  View<const C> rotations;                    ///< (T,K) of rope
  std::span<const ops::AttentionSpan> spans;  ///< where each sequence's queries and keys stand
  std::span<const Index> key_rows;            ///< row of the key store that token t fills; empty without a store
};

/// What a block's backward reads of its forward beside its input: no product is computed twice for it.
template <class T>
struct Activations {
  View<T> q, k, v;       ///< (T,H*K), (T,G*K), (T,G*K) as the attention reads them
  View<T> q_raw, k_raw;  ///< before their own norm (Qwen3); else q and k
  View<T> o;             ///< (T,H*K)
  Slab<T> r;             ///< (T,D) after the attention
  Slab<T> gate, up;      ///< (T,F)
};

/// Every tensor that a block keeps for its backward pass, named once. `seen` is empty where the backward computes it again,
/// and without a backward all but lse is.
template <precision P>
struct BlockKept {
  View<typename P::Kept> x;            ///< (T,D) input
  Activations<typename P::Kept> seen;  ///< as forward saw them
  View<typename P::Computed> lse;      ///< (T,H) of the attention
};

/// Memory that blocks use in turn; a slab is wide where a graft's gradient reads it after the segment.
template <precision P>
struct BlockScratch {
  using C = typename P::Computed;  ///< arithmetic
  LinearScratch<P> linear;         ///< of the linear maps
  Activations<C> now;              ///< in arithmetic's precision: what is kept itself, where it is kept in that
  Slab<C> x;                       ///< (T,D) the input again, where it is kept in less
  Slab<C> h;                       ///< (T,D) output of a norm
  Slab<C> y;                       ///< (T,D) output of a half block
  Slab<C> a;                       ///< (T,F) gated activation
  Slab<C> da, dgate, dup;          ///< (T,F) gradients of a, gate and up
  Slab<C> dh;                      ///< (T,D) gradient of h
  Slab<C> dy_down, dy_output;      ///< (T,D) gradients of the half blocks' outputs
  View<C> dq, dk, dv, d_o;         ///< gradients, as q, k, v, o
  Slab<C> dq_raw, dk_raw;          ///< (T,H*K), (T,G*K) before their own norm
};

/// One LLaMA-style decoder block with the knobs that real checkpoints have.
template <precision P, class B>
struct DecoderBlock {
  using C = typename P::Computed;  ///< arithmetic
  using K = typename P::Kept;      ///< what is kept for the backward

  ops::AttentionShape attention_shape;                     ///< heads, scale and window
  ops::Activation activation = ops::Activation::silu;      ///< of the gate
  double norm_epsilon = 1e-5;                              ///< of every norm
  double norm_offset = 0;                                  ///< added to every gain: 1 for Gemma
  Tensor<C> attention_norm, feed_forward_norm;             ///< (1,D) gains
  Tensor<C> query_norm, key_norm;                          ///< (1,K) gains (Qwen3), or empty
  Linear<P, B> query, key, value, output, gate, up, down;  ///< frozen maps

  /// The linear map at one of the seven projection sites.
  [[nodiscard]] const Linear<P, B>& linear(Sites where) const {
    switch (where) {
      case site::query: return query;
      case site::key: return key;
      case site::value: return value;
      case site::output: return output;
      case site::gate: return gate;
      case site::up: return up;
      case site::down: return down;
      default: fail("shape.140", "DecoderBlock: there is no linear map at this site");
    }
  }
  /// The same, to be filled or trained.
  [[nodiscard]] Linear<P, B>& linear(Sites where) {
    return const_cast<Linear<P, B>&>(std::as_const(*this).linear(where));
  }

  /// x(T,D) => next(T,D), which may be x. `store_k`, `store_v` hold the keys and values of earlier calls, where pass has
  /// key_rows.
  template <class Graft>
  void forward(const B& be, const BatchPass<C>& pass, const Graft& graft, View<C> x, const BlockKept<P>& kept,
               const BlockScratch<P>& scratch, View<C> store_k, View<C> store_v, View<C> next) const {
    const Activations<C>& now = scratch.now;
    graft.prepare(be, *this);
    be.for_each_block(pass.tokens, [&](Block b) {
      const View<C> h = scratch.h.at(b);
      be.rms_norm(norm(attention_norm), rows(x, b), h);
      query.forward(be, b, scratch.linear, graft.at(site::query), h, rows(now.q_raw, b));
      key.forward(be, b, scratch.linear, graft.at(site::key), h, rows(now.k_raw, b));
      value.forward(be, b, scratch.linear, graft.at(site::value), h, rows(now.v, b));
      if (query_norm.size() > 0) {
        be.rms_norm(norm(query_norm), by_head(rows(now.q_raw, b)), by_head(rows(now.q, b)));
        be.rms_norm(norm(key_norm), by_head(rows(now.k_raw, b)), by_head(rows(now.k, b)));
      }
      be.rope(ops::Turn::forward, rows(pass.rotations, b), rows(now.q, b));
      be.rope(ops::Turn::forward, rows(pass.rotations, b), rows(now.k, b));
      graft.at(site::keys).edit(be, b, rows(now.k, b));
      graft.at(site::values).edit(be, b, rows(now.v, b));
      keep(be, b, x, kept.x);
      keep(be, b, now.q, kept.seen.q);
      keep(be, b, now.k, kept.seen.k);
      keep(be, b, now.v, kept.seen.v);
      if (query_norm.size() > 0) {
        keep(be, b, now.q_raw, kept.seen.q_raw);
        keep(be, b, now.k_raw, kept.seen.k_raw);
      }
    });
    if (pass.key_rows.empty()) {
      be.attention(attention_shape, pass.spans, now.q, now.k, now.v, now.o, kept.lse);
    } else {
      be.scatter_rows(now.k, pass.key_rows, store_k);
      be.scatter_rows(now.v, pass.key_rows, store_v);
      be.attention(attention_shape, pass.spans, now.q, store_k, store_v, now.o, kept.lse);
    }
    be.for_each_block(pass.tokens, [&](Block b) {
      const View<C> h = scratch.h.at(b);
      const View<C> y = scratch.y.at(b);
      const View<C> r = now.r.at(b);
      const View<C> a = scratch.a.at(b);
      const View<C> out = rows(next, b);
      output.forward(be, b, scratch.linear, graft.at(site::output), rows(now.o, b), y);
      graft.at(site::attention).edit(be, b, y);
      be.copy(rows(x, b), r);
      be.add(1, y, r);
      be.rms_norm(norm(feed_forward_norm), r, h);
      graft.at(site::feed_forward).read(be, b, h);
      gate.forward(be, b, scratch.linear, graft.at(site::gate), h, now.gate.at(b));
      up.forward(be, b, scratch.linear, graft.at(site::up), h, now.up.at(b));
      be.gated_activation(activation, now.gate.at(b), now.up.at(b), a);
      down.forward(be, b, scratch.linear, graft.at(site::down), a, y);
      graft.at(site::feed_forward).add(be, b, y);
      graft.at(site::feed_forward).edit(be, b, y);
      be.copy(r, out);
      be.add(1, y, out);
      graft.at(site::residual).edit(be, b, out);
      keep(be, b, now.o, kept.seen.o);
      keep(be, b, now.r, kept.seen.r);
      keep(be, b, now.gate, kept.seen.gate);
      keep(be, b, now.up, kept.seen.up);
    });
  }

  /// dx(T,D): gradient of next in, gradient of x out (as far as `reach` goes). Adds to the gradients of the grafts.
  template <class Graft>
  void backward(const B& be, const BatchPass<C>& pass, const Graft& graft, const BlockKept<P>& kept,
                const BlockScratch<P>& scratch, Reach reach, View<C> dx) const {
    const Activations<C>& now = scratch.now;
    graft.prepare(be, *this);
    be.for_each_block(pass.tokens, [&](Block b) {
      const View<C> d = rows(dx, b);
      graft.at(site::residual).edit_vjp(be, b, d);
      if (reach != Reach::edits_only) {
        feed_forward_backward(be, b, graft, kept, scratch, d);
      }
      if (reach >= Reach::output) {
        const View<C> dy = scratch.dy_output.at(b);
        be.copy(d, dy);
        graft.at(site::attention).edit_vjp(be, b, dy);
        recall(be, b, kept.seen.o, now.o);
        output.backward(be, b, scratch.linear, graft.at(site::output), rows(now.o, b), dy, 0, rows(scratch.d_o, b));
      }
      if (reach > Reach::output) {
        recall(be, b, kept.seen.q, now.q);
        recall(be, b, kept.seen.k, now.k);
        recall(be, b, kept.seen.v, now.v);
      }
    });
    graft.at(site::residual).edit_gradients(be);
    if (reach == Reach::edits_only) {
      return;
    }
    graft.at(site::feed_forward).edit_gradients(be);
    graft.at(site::feed_forward).gradients(be, scratch.h, scratch.dy_down);
    graft.at(site::down).gradients(be, scratch.a, scratch.dy_down);
    graft.at(site::gate).gradients(be, scratch.h, scratch.dgate);
    graft.at(site::up).gradients(be, scratch.h, scratch.dup);
    graft.at(site::feed_forward_norm).norm_gradients(be, norm_epsilon, now.r, scratch.dh);
    if (reach == Reach::feed_forward) {
      return;
    }
    graft.at(site::attention).edit_gradients(be);
    graft.at(site::output).gradients(be, wide(now.o), scratch.dy_output);
    if (reach == Reach::output) {
      return;
    }
    be.attention_vjp(attention_shape, pass.spans, now.q, now.k, now.v, now.o, kept.lse, scratch.d_o, scratch.dq,
                     scratch.dk, scratch.dv);
    be.for_each_block(pass.tokens, [&](Block b) { attention_backward(be, b, pass, graft, kept, scratch, reach, dx); });
    graft.at(site::keys).edit_gradients(be);
    graft.at(site::values).edit_gradients(be);
    graft.at(site::query_norm).norm_gradients(be, norm_epsilon, by_head(wide(now.q_raw)), by_head(wide(scratch.dq)));
    graft.at(site::key_norm).norm_gradients(be, norm_epsilon, by_head(wide(now.k_raw)), by_head(wide(scratch.dk)));
    graft.at(site::query).gradients(be, scratch.h, dq_raw(scratch));
    graft.at(site::key).gradients(be, scratch.h, dk_raw(scratch));
    graft.at(site::value).gradients(be, scratch.h, wide(scratch.dv));
    graft.at(site::attention_norm).norm_gradients(be, norm_epsilon, scratch.x, scratch.dh);
  }

 private:
  template <class Graft>
  [[gnu::noinline]] void feed_forward_backward(const B& be, Block b, const Graft& graft, const BlockKept<P>& kept,
                                               const BlockScratch<P>& scratch, View<C> d) const {
    const Activations<C>& now = scratch.now;
    recall(be, b, kept.seen.r, now.r);
    recall(be, b, kept.seen.gate, now.gate);
    recall(be, b, kept.seen.up, now.up);
    const View<C> dy = scratch.dy_down.at(b);
    const View<C> a = scratch.a.at(b);
    const View<C> da = scratch.da.at(b);
    const View<C> h = scratch.h.at(b);
    const View<C> dh = scratch.dh.at(b);
    be.copy(d, dy);
    graft.at(site::feed_forward).edit_vjp(be, b, dy);
    graft.at(site::feed_forward).add_vjp(be, b, dy);
    if (graft.at(site::down).needs_input()) {
      be.gated_activation(activation, now.gate.at(b), now.up.at(b), a);
    }
    down.backward(be, b, scratch.linear, graft.at(site::down), a, dy, 0, da);
    be.gated_activation_vjp(activation, now.gate.at(b), now.up.at(b), da, scratch.dgate.at(b), scratch.dup.at(b));
    if (graft.at(site::gate).needs_input() || graft.at(site::up).needs_input() ||
        graft.at(site::feed_forward).needs_input()) {
      be.rms_norm(norm(feed_forward_norm), now.r.at(b), h);
    }
    gate.backward(be, b, scratch.linear, graft.at(site::gate), h, scratch.dgate.at(b), 0, dh);
    up.backward(be, b, scratch.linear, graft.at(site::up), h, scratch.dup.at(b), 1, dh);
    graft.at(site::feed_forward).read_vjp(be, b, dh);
    be.rms_norm_vjp(norm(feed_forward_norm), now.r.at(b), dh, d);
  }

  template <class Graft>
  [[gnu::noinline]] void attention_backward(const B& be, Block b, const BatchPass<C>& pass, const Graft& graft,
                                            const BlockKept<P>& kept, const BlockScratch<P>& scratch, Reach reach,
                                            View<C> dx) const {
    recall(be, b, kept.x, scratch.x);
    const View<C> dh = scratch.dh.at(b);
    View<C> dq = rows(scratch.dq, b);
    View<C> dk = rows(scratch.dk, b);
    graft.at(site::keys).edit_vjp(be, b, dk);
    graft.at(site::values).edit_vjp(be, b, rows(scratch.dv, b));
    be.rope(ops::Turn::back, rows(pass.rotations, b), dq);
    be.rope(ops::Turn::back, rows(pass.rotations, b), dk);
    if (query_norm.size() > 0) {
      const View<C> dq_before = scratch.dq_raw.at(b);
      const View<C> dk_before = scratch.dk_raw.at(b);
      be.fill(0, dq_before);
      be.fill(0, dk_before);
      recall(be, b, kept.seen.q_raw, scratch.now.q_raw);
      recall(be, b, kept.seen.k_raw, scratch.now.k_raw);
      be.rms_norm_vjp(norm(query_norm), by_head(rows(scratch.now.q_raw, b)), by_head(dq), by_head(dq_before));
      be.rms_norm_vjp(norm(key_norm), by_head(rows(scratch.now.k_raw, b)), by_head(dk), by_head(dk_before));
      dq = dq_before;
      dk = dk_before;
    }
    const View<C> h = scratch.h.at(b);
    const bool needs_input =
        graft.at(site::query).needs_input() || graft.at(site::key).needs_input() || graft.at(site::value).needs_input();
    if (needs_input) {
      be.rms_norm(norm(attention_norm), scratch.x.at(b), h);
    }
    query.backward(be, b, scratch.linear, graft.at(site::query), h, dq, 0, dh);
    key.backward(be, b, scratch.linear, graft.at(site::key), h, dk, 1, dh);
    value.backward(be, b, scratch.linear, graft.at(site::value), h, rows(scratch.dv, b), 1, dh);
    if (reach == Reach::input) {
      be.rms_norm_vjp(norm(attention_norm), scratch.x.at(b), dh, rows(dx, b));
    }
  }

  /// The rows of one block, on their way into what is kept, and back; nothing where both are the same memory. @{
  static void keep(const B& be, Block b, Slab<C> now, Slab<K> kept) {
    if constexpr (!std::same_as<K, C>) {
      if (!kept.data.empty()) {
        be.copy(now.at(b), kept.at(b));
      }
    }
  }
  static void keep(const B& be, Block b, View<C> now, View<K> kept) { keep(be, b, wide(now), Slab<K>{kept, 0}); }
  static void recall(const B& be, Block b, Slab<K> kept, Slab<C> now) {
    if constexpr (!std::same_as<K, C>) {
      if (!kept.data.empty()) {
        be.copy(kept.at(b), now.at(b));
      }
    }
  }
  static void recall(const B& be, Block b, View<K> kept, View<C> now) { recall(be, b, Slab<K>{kept, 0}, wide(now)); }
  static void recall(const B& be, Block b, View<K> kept, Slab<C> now) { recall(be, b, Slab<K>{kept, 0}, now); }
  /// @}

  [[nodiscard]] ops::RmsNorm<C> norm(const Tensor<C>& gain) const { return {gain.view(), norm_epsilon, norm_offset}; }
  template <class T>
  [[nodiscard]] static View<T> rows(View<T> all, Block b) {
    return all.middle_rows(b.begin, b.rows);
  }
  [[nodiscard]] static Slab<C> wide(View<C> all) { return {all, 0}; }
  [[nodiscard]] View<C> by_head(View<C> x) const {
    return x.reshape(x.size() / attention_shape.head_dim, attention_shape.head_dim);
  }
  [[nodiscard]] Slab<C> by_head(Slab<C> x) const { return {by_head(x.data), 0}; }
  [[nodiscard]] Slab<C> dq_raw(const BlockScratch<P>& s) const { return query_norm.size() > 0 ? s.dq_raw : wide(s.dq); }
  [[nodiscard]] Slab<C> dk_raw(const BlockScratch<P>& s) const { return query_norm.size() > 0 ? s.dk_raw : wide(s.dk); }
};

}  // namespace graft::layers
