// SPDX-License-Identifier: Apache-2.0
// Cuda: the waist on a CUDA device. Every operation checks its arguments as Reference does and sends one kernel, or a few, to a
// queue; products are a library's. Nothing here is compiled by nvcc: link graft::cuda, which holds the kernels.
//
//   backends::Cuda be;                    // first: tensors made from now on lie where both sides reach them
//   auto model = models::Llama<P, backends::Cuda>::load(checkpoint);
#pragma once

#include <algorithm>  // clamp, max, min
#include <cstdint>
#include <memory>  // shared_ptr
#include <span>
#include <type_traits>  // remove_const
#include <utility>      // move
#include <vector>

#include <graft/backends/cuda/attention.cuh>
#include <graft/backends/cuda/elementwise.cuh>
#include <graft/backends/cuda/lists.hpp>
#include <graft/backends/cuda/narrow.cuh>
#include <graft/backends/cuda/queue.hpp>
#include <graft/backends/cuda/resident_weight.hpp>
#include <graft/backends/cuda/rows.cuh>
#include <graft/backends/cuda/selections.cuh>
#include <graft/backends/cuda/sums.cuh>
#include <graft/core/block.hpp>
#include <graft/ops/attention.hpp>
#include <graft/ops/column_scale.hpp>
#include <graft/ops/elementwise.hpp>
#include <graft/ops/rope.hpp>
#include <graft/ops/row_scale.hpp>
#include <graft/ops/select.hpp>

namespace graft::backends {

/// The waist in fp32, with weights in fp32 or bf16, over a queue: a device's, or one that runs the same kernels here.
template <class Queue>
class Accelerator {
 public:
  /// How this backend keeps a frozen matrix.
  template <storable S>
  using Weight = cuda::ResidentWeight<S>;

  /// Rows that go through a segment together: what a segment needs for them alone is in memory for no more.
  Index block_rows = 8192;
  /// fp32 operands of products and attention may be rounded for tensor cores, to TF32 and bf16: for models in bf16, whose
  /// activations carry no more digits.
  bool rounds = false;

  /// Copies share the queue.
  explicit Accelerator(std::shared_ptr<Queue> queue = std::make_shared<Queue>()) : queue_(std::move(queue)) {}

  [[nodiscard]] cuda::Burst<Queue> burst() const { return cuda::Burst<Queue>(*queue_); }  ///< see Burst
  void finish() const { queue_->finish(); }                      ///< the processor may read what was sent so far
  [[nodiscard]] Queue& queue() const { return *queue_; }         ///< for what is not in the waist
  [[nodiscard]] static constexpr Index lanes() { return 1; }     ///< the device is one: blocks follow each other

  // --- segments -----------------------------------------------------------------------------------------------------

  /// As in Reference. @{
  [[nodiscard]] Index rows_of_block(Index rows) const { return std::clamp(rows, Index{1}, block_rows); }
  template <class Body>
  void for_each_block(Index rows, const Body& body) const {
    for (Index begin = 0; begin < rows; begin += block_rows) {
      body(Block{begin, std::min(block_rows, rows - begin), 0, 0});
    }
  }

  // --- products -----------------------------------------------------------------------------------------------------

  template <class A, class T>
  void gemm_nt(float alpha, View<A> a, View<T> b, float beta, View<float> c) const {
    require(a.cols == b.cols && c.rows == a.rows && c.cols == b.rows, "shape.120",
            "gemm_nt: a(M,K), b(N,K) and c(M,N) disagree");
    multiply(cuda::Product::nt, a.cols, alpha, a, b, beta, c);
  }
  template <storable S>
  void gemm_nt(float alpha, In<S> a, const Weight<S>& b, float beta, View<float> c) const {
    gemm_nt(alpha, a, b.resident(), beta, c);
  }
  template <class A, class T>
  void gemm_nn(float alpha, View<A> a, View<T> b, float beta, View<float> c) const {
    require(a.cols == b.rows && c.rows == a.rows && c.cols == b.cols, "shape.120",
            "gemm_nn: a(M,K), b(K,N) and c(M,N) disagree");
    multiply(cuda::Product::nn, a.cols, alpha, a, b, beta, c);
  }
  template <storable S>
  void gemm_nn(float alpha, In<S> a, const Weight<S>& b, float beta, View<float> c) const {
    gemm_nn(alpha, a, b.resident(), beta, c);
  }
  void gemm_tn(float alpha, View<const float> a, View<const float> b, float beta, View<float> c) const {
    require(a.rows == b.rows && c.rows == a.cols && c.cols == b.cols, "shape.120",
            "gemm_tn: a(K,M), b(K,N) and c(M,N) disagree");
    multiply(cuda::Product::tn, a.rows, alpha, a, b, beta, c);
  }

  // --- rows ---------------------------------------------------------------------------------------------------------

  template <storable G>
  void rms_norm(const ops::RmsNorm<G>& norm, View<const float> x, View<float> y) const {
    require(x.cols == norm.gain.cols && y.cols == x.cols && y.rows == x.rows, "shape.121",
            "rms_norm: x(T,D), y(T,D) and gain(1,D) disagree");
    each_row(cuda::RmsNorm<G>{norm, x, y}, x.rows, x.cols);
  }
  template <storable G>
  void rms_norm_vjp(const ops::RmsNorm<G>& norm, View<const float> x, View<const float> dy, View<float> dx) const {
    require(x.cols == norm.gain.cols && dy.cols == x.cols && dx.cols == x.cols && dy.rows == x.rows && dx.rows == x.rows,
            "shape.121", "rms_norm_vjp: x(T,D), dy(T,D), dx(T,D) and gain(1,D) disagree");
    each_row(cuda::RmsNormVjp<G>{norm, x, dy, dx}, x.rows, x.cols);
  }
  void rms_norm_gain_vjp(double epsilon, View<const float> x, View<const float> dy, View<float> dgain) const {
    require(dy.rows == x.rows && dy.cols == x.cols && dgain.cols == x.cols, "shape.121",
            "rms_norm_gain_vjp: x(T,D), dy(T,D) and dgain(1,D) disagree");
    const Index chunks = ceil_div(x.rows, cuda::PartialColumnSums<cuda::GainTerm>::chunk);
    float* const scratch = queue_->template scratch<float>(x.rows + chunks * x.cols);
    each_row(cuda::InverseRms{x, epsilon, scratch}, x.rows, x.cols);
    add_sums(cuda::GainTerm{x, dy, scratch}, x.rows, 1.0f, scratch + x.rows, dgain);
  }
  void rope_rotations(std::span<const Index> positions, std::span<const double> frequencies,
                      View<float> rotations) const {
    const auto half = static_cast<Index>(frequencies.size());
    require(rotations.cols == 2 * half && rotations.rows == std::ssize(positions), "shape.122",
            "rope_rotations: rotations(T,K), T positions and K/2 frequencies disagree");
    each(cuda::Rotations{queue_->put(positions), queue_->put(frequencies), rotations}, rotations.rows, half);
  }
  void rope(ops::Turn turn, View<const float> rotations, View<float> x) const {
    const Index width = rotations.cols;
    require(x.rows == rotations.rows && width > 0 && width % 2 == 0 && x.cols % width == 0, "shape.122",
            "rope: x(T,H*K) and rotations(T,K) disagree");
    each(cuda::Rope{turn == ops::Turn::forward ? 1.0f : -1.0f, rotations, x}, x.rows, x.cols / 2);
  }
  void gated_activation(ops::Activation kind, View<const float> gate, View<const float> up, View<float> a) const {
    check_shapes(a, gate, up);
    each(cuda::Gate{kind, gate, up, a}, a.rows, a.cols);
  }
  void gated_activation_vjp(ops::Activation kind, View<const float> gate, View<const float> up, View<const float> da,
                            View<float> dgate, View<float> dup) const {
    check_shapes(da, gate, up, dgate, dup);
    each(cuda::GateVjp{kind, gate, up, da, dgate, dup}, da.rows, da.cols);
  }
  void activation(ops::Activation kind, View<const float> x, View<float> y) const {
    check_shapes(y, x);
    each(cuda::Activate{kind, x, y}, y.rows, y.cols);
  }
  void activation_vjp(ops::Activation kind, View<const float> x, View<const float> dy, View<float> dx) const {
    check_shapes(dx, x, dy);
    each(cuda::ActivateVjp{kind, x, dy, dx}, dx.rows, dx.cols);
  }
  void cross_entropy(View<float> logits, std::span<const std::int32_t> labels, float scale, View<float> nll) const {
    require(std::ssize(labels) == logits.rows && nll.rows == logits.rows, "shape.125",
            "cross_entropy: logits(N,V), N labels and nll(N,1) disagree");
    for (const std::int32_t label : labels) {
      require(label >= 0 && label < logits.cols, "shape.126", "cross_entropy: a label lies outside the vocabulary");
    }
    each_row(cuda::CrossEntropy{logits, queue_->put(labels), scale, nll}, logits.rows, logits.cols);
  }
  template <class A, storable T>
  void copy(View<A> x, View<T> y) const {
    ops::detail::same_shape(x, y);
    each(cuda::Copy<std::remove_const_t<A>, T>{x, y}, y.rows, y.cols);
  }
  void fill(float value, View<float> y) const { each(cuda::Fill{value, y}, y.rows, y.cols); }
  void add(float alpha, View<const float> x, View<float> y) const {
    ops::detail::same_shape(x, y);
    each(cuda::Add{alpha, x, y}, y.rows, y.cols);
  }
  void scale(float alpha, View<float> y) const { each(cuda::Scale{alpha, y}, y.rows, y.cols); }
  void multiply_columns(View<const float> gain, View<const float> x, View<float> y) const {
    ops::detail::check_columns(gain, x, y);
    each(cuda::MultiplyColumns{gain, x, y}, y.rows, y.cols);
  }
  template <class S>
  void add_bias(float alpha, View<S> bias, View<float> y) const {
    require(bias.cols == y.cols, "shape.129", "add_bias: bias(1,N) and y(T,N) disagree");
    each(cuda::AddBias<std::remove_const_t<S>>{alpha, bias, y}, y.rows, y.cols);
  }
  template <class S>
  void add_bias(View<S> bias, View<float> y) const {
    add_bias(1.0f, bias, y);
  }
  void rescale_columns(View<const float> factor, View<const float> x, View<float> y) const {
    ops::detail::check_columns(factor, x, y);
    each(cuda::RescaleColumns{factor, x, y}, y.rows, y.cols);
  }
  void add_column_dots(View<const float> x, View<const float> y, View<float> sum) const {
    ops::detail::check_columns(sum, x, y);
    add_sums(cuda::DotTerm{x, y}, x.rows, 1.0f, parts_of(x), sum);
  }
  void multiply_rows(View<const float> factor, View<const float> x, float beta, View<float> y) const {
    ops::detail::check_rows(factor, x, y);
    each(cuda::MultiplyRows{factor, x, beta, y}, y.rows, y.cols);
  }
  void add_row_dots(View<const float> x, View<const float> y, View<float> sum) const {
    ops::detail::check_rows(sum, x, y);
    each_row(cuda::RowDots{x, y, sum}, x.rows, x.cols);
  }
  void invert(View<float> x) const { each(cuda::Invert{x}, x.rows, x.cols); }
  void dropout(double rate, Random random, Index first_row, View<const float> x, View<float> y) const {
    ops::detail::same_shape(x, y);
    each(cuda::Dropout{rate, random, first_row, x, y}, y.rows, y.cols);
  }

  // --- selections ---------------------------------------------------------------------------------------------------

  template <class I, class S>
  void gather_rows(View<S> from, std::span<const I> list, View<float> out) const {
    ops::detail::check_list(out.rows, list, from.rows, out.cols == from.cols);
    each(cuda::GatherRows<I, std::remove_const_t<S>>{from, queue_->put(list), out}, out.rows, out.cols);
  }
  template <class I, storable S>
  void gather_rows(const Weight<S>& from, std::span<const I> list, View<float> out) const {
    gather_rows(from.resident(), list, out);
  }
  template <class I>
  void scatter_rows(View<const float> rows, std::span<const I> list, View<float> onto) const {
    ops::detail::check_list(rows.rows, list, onto.rows, rows.cols == onto.cols);
    each(cuda::ScatterRows<I>{rows, queue_->put(list), onto}, rows.rows, rows.cols);
  }
  template <class I>
  void scatter_add_rows(float alpha, View<const float> rows, std::span<const I> list, View<float> onto) const {
    ops::detail::check_list(rows.rows, list, onto.rows, rows.cols == onto.cols);
    each(cuda::ScatterAddRows<I>{alpha, rows, queue_->put(list), mentions(list, onto.rows), onto}, rows.rows, rows.cols);
  }
  template <class I, class S>
  void gather_cols(View<S> from, std::span<const I> list, View<float> out) const {
    ops::detail::check_list(out.cols, list, from.cols, out.rows == from.rows);
    each(cuda::GatherColumns<I, std::remove_const_t<S>>{from, queue_->put(list), out}, out.rows, out.cols);
  }
  template <class I, storable S>
  void gather_cols(const Weight<S>& from, std::span<const I> list, View<float> out) const {
    gather_cols(from.resident(), list, out);
  }
  template <class I>
  void scatter_add_cols(float alpha, View<const float> cols, std::span<const I> list, View<float> onto) const {
    ops::detail::check_list(cols.cols, list, onto.cols, cols.rows == onto.rows);
    each(cuda::ScatterAddColumns<I>{alpha, cols, queue_->put(list), mentions(list, onto.cols), onto}, cols.rows,
         cols.cols);
  }
  void keep_cols(std::span<const std::uint64_t> bits, View<float> x) const {
    require(x.rows == std::ssize(bits) && x.cols <= 64, "shape.127",
            "keep_cols: x(T,N) needs a word of bits for each row, and at most 64 columns");
    each(cuda::KeepColumns{queue_->put(bits), x}, x.rows, x.cols);
  }

  // --- attention ----------------------------------------------------------------------------------------------------

  void attention(const ops::AttentionShape& shape, std::span<const ops::AttentionSpan> spans, View<const float> q,
                 View<const float> k, View<const float> v, View<float> o, View<float> lse) const {
    ops::detail::check_attention<float>(shape, spans, q, k, v, o, lse);
    with_operand([&]<class Operand>(Operand) {
      using Kernel = cuda::Attention<Operand>;
      Index longest = 1;
      for (const ops::AttentionSpan& span : spans) {
        longest = std::max(longest, span.query_rows);
      }
      const Index side = std::min(side_of<Kernel>(shape), round_up(longest, 16));
      const auto tiles = cuda::attention_tiles(spans, side, &ops::AttentionSpan::query_rows);
      send(Kernel{shape, queue_->put(std::span(tiles)), side, q, k, v, o, lse}, std::ssize(tiles) * shape.heads,
           Kernel::shared_bytes({side, shape.head_dim}));
    });
  }
  void attention_vjp(const ops::AttentionShape& shape, std::span<const ops::AttentionSpan> spans, View<const float> q,
                     View<const float> k, View<const float> v, View<const float> o, View<const float> lse,
                     View<const float> d_o, View<float> dq, View<float> dk, View<float> dv) const {
    ops::detail::check_attention<float>(shape, spans, q, k, v, o, lse);
    ops::detail::check_attention<float>(shape, spans, dq, dk, dv, d_o, lse);
    const View<float> delta(queue_->template scratch<float>(lse.size()), lse.rows, lse.cols);
    each_row(cuda::AttentionDelta{shape.heads, shape.head_dim, o, d_o, delta}, o.rows, 4 * shape.heads);
    with_operand([&]<class Operand>(Operand) {
      const auto half = [&]<class Kernel>(auto rows_of, Index heads, auto... gradients) {
        const Index side = side_of<Kernel>(shape);
        const auto tiles = cuda::attention_tiles(spans, side, rows_of);
        send(Kernel{{shape, queue_->put(std::span(tiles)), side, q, k, v, lse, d_o, delta}, gradients...}, std::ssize(tiles) * heads,
             Kernel::shared_bytes({side, shape.head_dim}));
      };
      half.template operator()<cuda::AttentionKeyVjp<Operand>>(&ops::AttentionSpan::key_rows, shape.kv_heads, dk, dv);
      half.template operator()<cuda::AttentionQueryVjp<Operand>>(&ops::AttentionSpan::query_rows, shape.heads, dq);
    });
  }

  // --- parameters ---------------------------------------------------------------------------------------------------

  void add_column_sums(float alpha, View<const float> y, View<float> sum) const {
    require(sum.cols == y.cols, "shape.129", "add_column_sums: y(T,N) and sum(1,N) disagree");
    add_sums(cuda::ColumnTerm{y}, y.rows, alpha, parts_of(y), sum);
  }
  [[nodiscard]] double squared_norm(View<const float> x) const { return squared_norm(std::span(&x, 1)); }
  [[nodiscard]] double squared_norm(std::span<const View<const float>> all) const {
    const auto burst = this->burst();
    Index rows = 0;
    for (const View<const float>& x : all) {
      rows += x.rows;
    }
    double* const squares = queue_->template scratch<double>(rows);
    Index at = 0;
    for (const View<const float>& x : all) {
      each_row(cuda::RowSquares{x, squares + at}, x.rows, x.cols);
      at += x.rows;
    }
    queue_->launch(cuda::Total{squares, rows, queue_->answer()}, 1, 256);
    finish();
    return *queue_->answer();
  }
  void row_norms(View<const float> x, View<float> n) const {
    require(n.cols == x.rows, "shape.129", "row_norms: x(T,N) and n(1,T) disagree");
    each_row(cuda::RowNorms{x, n}, x.rows, x.cols);
  }
  void adamw(const ops::AdamWStep& step, float factor, View<const float> gradient, View<float> m, View<float> v,
             View<float> value) const {
    ops::detail::check_adamw<float>(gradient, m, v, value);
    each(cuda::AdamW{ops::AdamWNumbers<float>(step, factor), gradient, m, v, value}, value.rows, value.cols);
  }
  void orthonormalize(View<float> rows, View<float> scratch) const {
    const Index r = rows.rows;
    require(r <= rows.cols, "shape.130", "orthonormalize: R(r,d) needs r <= d");
    require(scratch.rows >= 4 * r && scratch.cols >= rows.cols, "shape.130",
            "orthonormalize: scratch is smaller than (4r, d)");
    const auto square = [&](Index number) { return scratch.middle_rows(number * r, r).middle_cols(0, r); };
    const View<float> turned = scratch.middle_rows(0, r).middle_cols(0, rows.cols);
    for (int round = 0; round < 2; ++round) {
      queue_->multiply(cuda::Product::nt, 1, View<const float>(rows), View<const float>(rows), 0, square(0), false);
      queue_->launch(cuda::InverseRoot{square(0), square(1), square(2), square(3)}, 1, 256);
      queue_->multiply(cuda::Product::nn, 1, View<const float>(square(1)), View<const float>(rows), 0, turned, false);
      copy(turned, rows);
    }
  }
  /// @}

 private:
  /// Threads for n numbers that a team has in hand: whole warps.
  [[nodiscard]] static constexpr Index threads_for(Index n) { return std::clamp(round_up(n, 32), Index{32}, Index{256}); }

  template <class At>
  void each(const At& at, Index rows, Index cols) const {
    using Kernel = cuda::ForEach<At>;
    queue_->launch(Kernel{at, cols}, Kernel::tasks(rows, cols), threads_for(std::min(cols, Kernel::width)));
  }
  template <class Kernel>
  void each_row(const Kernel& kernel, Index rows, Index cols) const {
    queue_->launch(kernel, rows, threads_for(cols));
  }
  template <class Kernel>
  void send(const Kernel& kernel, Index tasks, Index shared_bytes) const {
    queue_->launch(kernel, tasks, 128, shared_bytes);
  }

  template <class A, class T>
  void multiply(cuda::Product which, Index depth, float alpha, View<A> a, View<T> b, float beta, View<float> c) const {
    if (c.empty() || cuda::multiply_narrow(*queue_, which, alpha, a, b, beta, c)) {
      return;
    }
    if (depth > 0) {
      queue_->multiply(which, alpha, View<const A>(a), View<const T>(b), beta, c, rounds);
    } else if (beta == 0) {
      fill(0, c);
    } else {
      scale(beta, c);
    }
  }

  [[nodiscard]] float* parts_of(View<const float> x) const {
    return queue_->template scratch<float>(ceil_div(x.rows, cuda::PartialColumnSums<cuda::ColumnTerm>::chunk) * x.cols);
  }
  template <class Term>
  void add_sums(const Term& term, Index rows, float alpha, float* parts, View<float> sum) const {
    using Kernel = cuda::PartialColumnSums<Term>;
    queue_->launch(Kernel{term, rows, sum.cols, parts}, Kernel::tasks(rows, sum.cols), threads_for(sum.cols));
    each(cuda::AddParts{parts, ceil_div(rows, Kernel::chunk), alpha, sum}, 1, sum.cols);
  }

  template <class Kernel>
  [[nodiscard]] Index side_of(const ops::AttentionShape& shape) const {
    return Kernel::Layout::template side_for<Kernel>(shape.head_dim, queue_->facts().shared_bytes);
  }
  template <class Body>
  void with_operand(const Body& body) const {
    if (rounds) {
      body(bf16{});
    } else {
      body(float{});
    }
  }
  template <class I>
  [[nodiscard]] cuda::Mentions mentions(std::span<const I> list, Index extent) const {
    const std::vector<std::int32_t> next = cuda::next_mentions(list, extent);
    return {queue_->put(std::span(next))};
  }
  template <class First, class... Rest>
  static void check_shapes(const First& x, const Rest&... others) {
    require(((others.rows == x.rows && others.cols == x.cols) && ...), "shape.124",
            "activation: the matrices disagree in rows or columns");
  }

  std::shared_ptr<Queue> queue_;
};

/// A CUDA device.
using Cuda = Accelerator<cuda::Queue>;

}  // namespace graft::backends
