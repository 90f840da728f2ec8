// SPDX-License-Identifier: Apache-2.0
// Simd: the processor's backend for float. Bodies for three instruction sets, chosen at run time; gemm through a library.
#pragma once

#include <algorithm>  // min
#include <cmath>      // sqrt
#include <concepts>
#include <cstdint>
#include <span>
#include <type_traits>  // remove_const

#include <graft/backends/reference.hpp>
#include <graft/backends/scratch.hpp>
#include <graft/backends/simd/attention.hpp>
#include <graft/backends/simd/level.hpp>
#include <graft/backends/simd/product.hpp>
#include <graft/backends/simd/split.hpp>

namespace graft::backends {

struct EigenGemm;  // backends/gemm/eigen.hpp

/// Calls a gemm door's products; see EigenGemm and OneDnn.
template <class G>
concept gemm_door = requires(View<const float> x, View<float> y) {
  G::nt(1.0f, x, x, 0.0f, y);
  G::nn(1.0f, x, x, 0.0f, y);
  G::tn(1.0f, x, x, 0.0f, y);
  { G::multiplies_bf16() } -> std::same_as<bool>;
};

/// Everything that Reference does; what is written here is quicker for float. Work that is split is split by shapes alone
/// and summed in a fixed order, so results are bit-identical for any number of threads.
template <class Gemm = EigenGemm>
struct Simd : Reference {
  /// The instruction set of our own bodies; may be lowered.
  Isa isa = chosen_isa();
  /// Whether the processor multiplies bf16; else it is widened tile by tile.
  [[nodiscard]] static bool multiplies_bf16() { return Gemm::multiplies_bf16(); }
  /// The block_rows for models in bf16 where it does: reading a weight, once a block, takes as long as multiplying (0020).
  static constexpr Index native_bf16_rows = 224;

  // --- products -----------------------------------------------------------------------------------------------------

  /// As in Reference: float, and bf16 beside it, by the bodies of `isa` and the gemm door; the rest by Reference. @{
  template <class A, class T, scalar C>
  [[gnu::noinline]] void gemm_nt(Same<C> alpha, View<A> a, View<T> b, Same<C> beta, View<C> c) const {
    if constexpr (is_product<A, T, C>) {
      require(a.cols == b.cols && c.rows == a.rows && c.cols == b.rows, "shape.120",
              "gemm_nt: a(M,K), b(N,K) and c(M,N) disagree");
      if (a.rows <= simd::narrow_rows) {
        simd::at_level(isa, [&](auto level) {
          simd::for_each_chunk(b.rows, b.cols, [&](Index, Index begin, Index end) {
            level.narrow_nt(alpha, View<const A>(a), View<const T>(b).middle_rows(begin, end - begin), beta,
                            c.middle_cols(begin, end - begin));
          });
        });
        return;
      }
      simd::for_each_panel(c.cols, simd::Nt::panel<Gemm, T>(b.cols), [&](Index begin, Index cols) {
        simd::multiply<Gemm>(isa, simd::Nt{}, alpha, View<const A>(a), View<const T>(b).middle_rows(begin, cols), beta,
                             c.middle_cols(begin, cols));
      });
    } else {
      Reference::gemm_nt(alpha, a, b, beta, c);
    }
  }
  template <storable S, scalar C>
  void gemm_nt(Same<C> alpha, In<S> a, const DenseWeight<S>& b, Same<C> beta, View<C> c) const {
    gemm_nt(alpha, a, b.view(), beta, c);
  }

  template <class A, class T, scalar C>
  [[gnu::noinline]] void gemm_nn(Same<C> alpha, View<A> a, View<T> b, Same<C> beta, View<C> c) const {
    if constexpr (is_product<A, T, C>) {
      require(a.cols == b.rows && c.rows == a.rows && c.cols == b.cols, "shape.120",
              "gemm_nn: a(M,K), b(K,N) and c(M,N) disagree");
      simd::for_each_panel(c.cols, simd::panel_cols, [&](Index begin, Index cols) {
        simd::multiply<Gemm>(isa, simd::Nn{}, alpha, View<const A>(a), View<const T>(b).middle_cols(begin, cols), beta,
                             c.middle_cols(begin, cols));
      });
    } else {
      Reference::gemm_nn(alpha, a, b, beta, c);
    }
  }
  template <storable S, scalar C>
  void gemm_nn(Same<C> alpha, In<S> a, const DenseWeight<S>& b, Same<C> beta, View<C> c) const {
    gemm_nn(alpha, a, b.view(), beta, c);
  }

  template <scalar C>
  [[gnu::noinline]] void gemm_tn(Same<C> alpha, In<C> a, In<C> b, Same<C> beta, View<C> c) const {
    if constexpr (std::same_as<C, float>) {
      require(a.rows == b.rows && c.rows == a.cols && c.cols == b.cols, "shape.120",
              "gemm_tn: a(K,M), b(K,N) and c(M,N) disagree");
      constexpr Index side = 256;  // a task makes 256 x 256 of c
      const Index down = ceil_div(c.rows, side);
      parallel_for(down * ceil_div(c.cols, side), [&](Index task, Index) {
        const Index i = task % down * side;
        const Index j = task / down * side;
        const Index rows = std::min(side, c.rows - i);
        const Index cols = std::min(side, c.cols - j);
        Gemm::tn(alpha, a.middle_cols(i, rows), b.middle_cols(j, cols), beta,
                 c.middle_rows(i, rows).middle_cols(j, cols));
      });
    } else {
      Reference::gemm_tn(alpha, a, b, beta, c);
    }
  }

  // --- rows ---------------------------------------------------------------------------------------------------------

  template <scalar T, storable G>
  void rms_norm(const ops::RmsNorm<G>& norm, In<T> x, View<T> y) const {
    if constexpr (std::same_as<T, float> && is_float_like<G>) {
      require(x.cols == norm.gain.cols && y.cols == x.cols && y.rows == x.rows, "shape.121",
              "rms_norm: x(T,D), y(T,D) and gain(1,D) disagree");
      simd::at_level(
          isa, [&](auto level) { level.rms_norm(norm.gain, static_cast<float>(norm.offset), norm.epsilon, x, y); });
    } else {
      Reference::rms_norm(norm, x, y);
    }
  }
  template <scalar T, storable G>
  void rms_norm_vjp(const ops::RmsNorm<G>& norm, In<T> x, In<T> dy, View<T> dx) const {
    if constexpr (std::same_as<T, float> && is_float_like<G>) {
      require(x.cols == norm.gain.cols && dy.rows == x.rows && dx.rows == x.rows, "shape.121",
              "rms_norm_vjp: x(T,D), dy(T,D), dx(T,D) and gain(1,D) disagree");
      simd::at_level(isa, [&](auto level) {
        level.rms_norm_vjp(norm.gain, static_cast<float>(norm.offset), norm.epsilon, x, dy, dx);
      });
    } else {
      Reference::rms_norm_vjp(norm, x, dy, dx);
    }
  }
  template <scalar T>
  void rms_norm_gain_vjp(double epsilon, In<T> x, In<T> dy, View<T> dgain) const {
    if constexpr (std::same_as<T, float>) {
      float* const inverse = scratch<Purpose::rows, float>(x.rows);
      simd::at_level(isa, [&](auto level) {
        parallel_for(ceil_div(x.rows, block_rows), [&](Index task, Index) {
          for (Index i = task * block_rows; i < std::min(x.rows, (task + 1) * block_rows); ++i) {
            inverse[i] = level.inverse_rms(x.row(i), x.cols, epsilon);
          }
        });
        simd::for_each_stripe(x.cols, [&](Index j, Index cols) {
          level.add_norm_gain(inverse, x.middle_cols(j, cols), dy.middle_cols(j, cols), dgain.data + j);
        });
      });
    } else {
      Reference::rms_norm_gain_vjp(epsilon, x, dy, dgain);
    }
  }
  template <scalar T>
  void rope(ops::Turn turn, In<T> rotations, View<T> x) const {
    if constexpr (std::same_as<T, float>) {
      require(x.rows == rotations.rows && x.cols % rotations.cols == 0, "shape.122",
              "rope: x(T,H*K) and rotations(T,K) disagree");
      simd::at_level(isa, [&](auto level) { level.rope(turn == ops::Turn::forward ? 1.0f : -1.0f, rotations, x); });
    } else {
      Reference::rope(turn, rotations, x);
    }
  }
  template <scalar T>
  void gated_activation(ops::Activation kind, In<T> gate, In<T> up, View<T> a) const {
    if constexpr (std::same_as<T, float>) {
      require(gate.rows == up.rows && gate.cols == up.cols && a.rows == up.rows && a.cols == up.cols, "shape.124",
              "gated_activation: gate(T,F), up(T,F) and a(T,F) disagree");
      if (simd::has_lanes(kind)) {
        simd::at_level(isa, [&](auto level) { level.gated_activation(kind, gate, up, a); });
        return;
      }
    }
    Reference::gated_activation(kind, gate, up, a);
  }
  template <scalar T>
  void gated_activation_vjp(ops::Activation kind, In<T> gate, In<T> up, In<T> da, View<T> dgate, View<T> dup) const {
    if constexpr (std::same_as<T, float>) {
      require(gate.rows == up.rows && da.rows == up.rows && dgate.rows == up.rows && dup.rows == up.rows, "shape.124",
              "gated_activation_vjp: gate(T,F), up(T,F) and da(T,F) disagree");
      if (simd::has_lanes(kind)) {
        simd::at_level(isa, [&](auto level) { level.gated_activation_vjp(kind, gate, up, da, dgate, dup); });
        return;
      }
    }
    Reference::gated_activation_vjp(kind, gate, up, da, dgate, dup);
  }
  using Reference::cross_entropy;
  void cross_entropy(View<float> logits, std::span<const std::int32_t> labels, float scale, View<float> nll) const {
    require(std::ssize(labels) == logits.rows && nll.rows == logits.rows, "shape.125",
            "cross_entropy: logits(N,V), N labels and nll(N,1) disagree");
    for (const std::int32_t label : labels) {
      require(label >= 0 && label < logits.cols, "shape.126", "cross_entropy: a label lies outside the vocabulary");
    }
    simd::at_level(isa, [&](auto level) { level.cross_entropy(logits, labels.data(), scale, nll); });
  }
  template <class A, storable T>
  void copy(View<A> x, View<T> y) const {
    if constexpr (is_float_like<A> && is_float_like<T>) {
      ops::detail::same_shape(x, y);
      for_each_row(y.rows, [&](auto level, Index i) { level.copy_row(x.row(i), y.cols, y.row(i)); });
    } else {
      Reference::copy(x, y);
    }
  }
  using Reference::fill, Reference::add, Reference::scale;
  void fill(float value, View<float> y) const {
    for_each_row(y.rows, [&](auto level, Index i) { level.fill_row(value, y.cols, y.row(i)); });
  }
  void add(float alpha, In<float> x, View<float> y) const {
    ops::detail::same_shape(x, y);
    for_each_row(y.rows, [&](auto level, Index i) { level.add_row(alpha, x.row(i), y.cols, y.row(i)); });
  }
  void scale(float alpha, View<float> y) const {
    for_each_row(y.rows, [&](auto level, Index i) { level.scale_row(alpha, y.cols, y.row(i)); });
  }
  template <class S, scalar T>
  void add_bias(Same<T> alpha, View<S> bias, View<T> y) const {
    if constexpr (std::same_as<T, float> && is_float_like<S>) {
      require(bias.cols == y.cols, "shape.129", "add_bias: bias(1,N) and y(T,N) disagree");
      for_each_row(y.rows, [&](auto level, Index i) { level.add_row(alpha, bias.data, y.cols, y.row(i)); });
    } else {
      Reference::add_bias(alpha, bias, y);
    }
  }
  template <class S, scalar T>
  void add_bias(View<S> bias, View<T> y) const {
    add_bias(T{1}, bias, y);
  }
  using Reference::multiply_columns, Reference::rescale_columns;
  void multiply_columns(In<float> gain, In<float> x, View<float> y) const {
    ops::detail::check_columns(gain, x, y);
    for_each_row(y.rows, [&](auto level, Index i) { level.multiply_row(gain.data, x.row(i), y.cols, y.row(i)); });
  }
  void rescale_columns(In<float> scale, In<float> x, View<float> y) const {
    ops::detail::check_columns(scale, x, y);
    for_each_row(y.rows, [&](auto level, Index i) { level.rescale_row(scale.data, x.row(i), y.cols, y.row(i)); });
  }
  using Reference::add_column_dots;
  void add_column_dots(In<float> x, In<float> y, View<float> sum) const {
    ops::detail::check_columns(sum, x, y);
    simd::at_level(isa, [&](auto level) { level.add_dots(x, y, sum.data); });
  }

  // --- selections ---------------------------------------------------------------------------------------------------

  template <class I, class S, scalar T>
  void gather_rows(View<S> from, std::span<const I> list, View<T> out) const {
    if constexpr (std::same_as<T, float> && is_float_like<S>) {
      ops::detail::check_list(out.rows, list, from.rows, out.cols == from.cols);
      for_each_row(out.rows, [&](auto level, Index i) {
        level.copy_row(from.row(static_cast<Index>(list[static_cast<std::size_t>(i)])), out.cols, out.row(i));
      });
    } else {
      Reference::gather_rows(from, list, out);
    }
  }
  template <class I, storable S, scalar T>
  void gather_rows(const DenseWeight<S>& from, std::span<const I> list, View<T> out) const {
    gather_rows(from.view(), list, out);
  }
  template <class I, scalar T>
  void scatter_rows(In<T> rows, std::span<const I> list, View<T> onto) const {
    if constexpr (std::same_as<T, float>) {
      ops::detail::check_list(rows.rows, list, onto.rows, rows.cols == onto.cols);
      for_each_row(rows.rows, [&](auto level, Index i) {
        level.copy_row(rows.row(i), rows.cols, onto.row(static_cast<Index>(list[static_cast<std::size_t>(i)])));
      });
    } else {
      Reference::scatter_rows(rows, list, onto);
    }
  }
  template <class I, scalar T>
  void scatter_add_rows(Same<T> alpha, In<T> rows, std::span<const I> list, View<T> onto) const {
    if constexpr (std::same_as<T, float>) {
      ops::detail::check_list(rows.rows, list, onto.rows, rows.cols == onto.cols);
      for_each_row(rows.rows, [&](auto level, Index i) {
        level.add_row(alpha, rows.row(i), rows.cols, onto.row(static_cast<Index>(list[static_cast<std::size_t>(i)])));
      });
    } else {
      Reference::scatter_add_rows(alpha, rows, list, onto);
    }
  }

  // --- attention ----------------------------------------------------------------------------------------------------

  template <scalar T>
  void attention(const ops::AttentionShape& shape, std::span<const ops::AttentionSpan> spans, In<T> q, In<T> k, In<T> v,
                 View<T> o, View<T> lse) const {
    if constexpr (std::same_as<T, float>) {
      ops::detail::check_attention<T>(shape, spans, q, k, v, o, lse);
      simd::at_level(isa, [&](auto level) { simd::attention<decltype(level), Gemm>(shape, spans, q, k, v, o, lse); });
    } else {
      Reference::attention(shape, spans, q, k, v, o, lse);
    }
  }
  template <scalar T>
  void attention_vjp(const ops::AttentionShape& shape, std::span<const ops::AttentionSpan> spans, In<T> q, In<T> k,
                     In<T> v, In<T> o, In<T> lse, In<T> d_o, View<T> dq, View<T> dk, View<T> dv) const {
    if constexpr (std::same_as<T, float>) {
      ops::detail::check_attention<T>(shape, spans, q, k, v, o, lse);
      ops::detail::check_attention<T>(shape, spans, dq, dk, dv, d_o, lse);
      simd::at_level(isa, [&](auto level) {
        simd::attention_vjp<decltype(level), Gemm>(shape, spans, q, k, v, o, lse, d_o, dq, dk, dv);
      });
    } else {
      Reference::attention_vjp(shape, spans, q, k, v, o, lse, d_o, dq, dk, dv);
    }
  }

  // --- parameters ---------------------------------------------------------------------------------------------------

  template <scalar T>
  void add_column_sums(Same<T> alpha, In<T> y, View<T> sum) const {
    if constexpr (std::same_as<T, float>) {
      require(sum.cols == y.cols, "shape.129", "add_column_sums: y(T,N) and sum(1,N) disagree");
      simd::at_level(isa, [&](auto level) {
        simd::for_each_stripe(
            y.cols, [&](Index j, Index cols) { level.add_columns(alpha, y.middle_cols(j, cols), sum.data + j); });
      });
    } else {
      Reference::add_column_sums(alpha, y, sum);
    }
  }
  template <class A>
  [[nodiscard]] double squared_norm(View<A> x) const {
    if constexpr (std::same_as<std::remove_const_t<A>, float>) {
      const Index count = ceil_div(x.rows, simd::rows_of_chunk(x.cols));
      double* const parts = scratch<Purpose::sums, double>(count);
      simd::at_level(isa, [&](auto level) {
        simd::for_each_chunk(x.rows, x.cols, [&](Index chunk, Index begin, Index end) {
          parts[chunk] = 0;
          for (Index i = begin; i < end; ++i) {
            parts[chunk] += level.squares_of_row(x.row(i), x.cols);
          }
        });
      });
      double total = 0;
      for (Index chunk = 0; chunk < count; ++chunk) {
        total += parts[chunk];
      }
      return total;
    } else {
      return Reference::squared_norm(x);
    }
  }
  template <class A>
  [[nodiscard]] double squared_norm(std::span<const View<A>> all) const {
    double sum = 0;
    for (const View<A>& x : all) {
      sum += squared_norm(x);
    }
    return sum;
  }
  using Reference::row_norms;
  void row_norms(In<float> x, View<float> n) const {
    require(n.cols == x.rows, "shape.129", "row_norms: x(T,N) and n(1,T) disagree");
    for_each_row(x.rows, [&](auto level, Index i) {
      n(0, i) = static_cast<float>(std::sqrt(level.squares_of_row(x.row(i), x.cols)));
    });
  }
  template <std::floating_point T>
  void adamw(const ops::AdamWStep& step, Same<T> scale, In<T> gradient, View<T> m, View<T> v, View<T> value) const {
    if constexpr (std::same_as<T, float>) {
      ops::detail::check_adamw<T>(gradient, m, v, value);
      const simd::AdamWNumbers numbers(step, scale);
      simd::at_level(isa, [&](auto level) {
        simd::for_each_chunk(value.rows, value.cols, [&](Index, Index begin, Index end) {
          for (Index i = begin; i < end; ++i) {
            level.adamw_row(numbers, value.cols, gradient.row(i), m.row(i), v.row(i), value.row(i));
          }
        });
      });
    } else {
      Reference::adamw(step, scale, gradient, m, v, value);
    }
  }
  /// @}

 private:
  /// float, or bf16 on its way to float; views may be of constants.
  template <class T>
  static constexpr bool is_float_like =
      std::same_as<std::remove_const_t<T>, float> || std::same_as<std::remove_const_t<T>, bf16>;
  template <class A, class B, class C>
  static constexpr bool is_product =
      is_float_like<A> && std::same_as<std::remove_const_t<A>, std::remove_const_t<B>> && std::same_as<C, float>;

  /// Calls body(level, i) for i in [0, rows), at the level chosen once.
  template <class Body>
  void for_each_row(Index rows, const Body& body) const {
    simd::at_level(isa, [&](auto level) {
      for (Index i = 0; i < rows; ++i) {
        body(level, i);
      }
    });
  }
};

}  // namespace graft::backends
