// SPDX-License-Identifier: Apache-2.0
// Dora: W = diag(m) (W0 + s B A) / |W0 + s B A|, row by row: a direction by LoRA, a magnitude m trained beside it.
// Liu et al., "DoRA: Weight-Decomposed Low-Rank Adaptation", arXiv 2402.09353.
#pragma once

#include <algorithm>  // min
#include <array>
#include <cmath>    // sqrt
#include <numeric>  // iota
#include <span>

#include <graft/adapters/lora.hpp>

namespace graft::adapters {

/// Magnitude and direction of every output apart. With n = |W0 + s B A| (row norms, a constant for the gradient), g = m / n,
/// y0 = W0 x before any bias and z = A x:
///
///   y = g o (y0 + s B z) + bias      u = s (g o B)' dy,  dA = u x',  dB = g o (s dy z'),  dm = dy o (y0 + s B z) / n
///                                    dx = W0' (g o dy) + A' u
///
/// The norms cost r N M a pass, in panels of a few rows: no N x M matrix exists. A pass that continues another one (a token of
/// a text that is being written) has them already. A row of zeros has no direction: its g is 0.
template <Index Rank = dynamic, initializer Init = policies::KaimingUniform, scaling Scale = policies::AlphaOverRank>
struct Dora {
  static constexpr std::string_view name = "dora";  ///< in files and messages

  Index rank = Rank == dynamic ? 8 : Rank;  ///< r
  double alpha = 16;                        ///< of the scaling
  double dropout = 0;                       ///< on the input of A, in training

  /// Calls visit(name, value) for the settings that a file holds.
  template <class Visitor>
  void for_each_setting(Visitor&& visit) {
    visit("rank", rank);
    visit("alpha", alpha);
    visit("dropout", dropout);
  }
  /// The policies on which the meaning of stored numbers depends.
  template <class Visitor>
  static void for_each_policy(Visitor&& visit) {
    visit("scaling", policy_name<Scale>());
  }
  /// r (N + M) + N numbers in a map of N outputs and M inputs.
  [[nodiscard]] Index trained(const Place& place) const {
    return rank * (place.outputs + place.inputs) + place.outputs;
  }

  /// A LoRA module and m. Costs r (N + M) + N multiply-adds a token forward; keeps z and y0, r + N numbers of it.
  template <scalar T>
  class Module {
    using Low = typename Lora<Rank, Init, Scale>::template Module<T>;

   public:
    /// What one pass has in hand, for T rows of the map.
    struct Cache {
      typename Low::Cache low;  ///< z, u, the shares of dA and of s dy' z
      Slab<T> y0;               ///< (T,N) W0 x
      Slab<T> dy;               ///< (T,N) of the rows in hand
      Slab<T> panel;            ///< (panel_rows,M) rows of W0 + s B A, of each lane
      View<T> g, inverse;       ///< (1,N) m / n and 1 / n
      Tensor<T> found;          ///< (1,N) where 1 / n lies without a backward: until the pass after it
      bool known = false;       ///< it is there
      View<T> b;                ///< (N,r) g o B
      View<T> shares;           ///< a row for each block: its share of the sum of dy o y0
      View<T> dg;               ///< (1,N) that sum
      View<T> db;               ///< (N,r) s dy' z
    };

    Module() = default;
    /// A random, B zero, m the row norms of the weight; no rank, or another than the type's, is adapter.601.
    template <class B, class W>
    Module(const Dora& recipe, const B& be, const W& weight, const Place& place, Random random)
        : low_({recipe.rank, recipe.alpha, recipe.dropout}, be, weight, place, random), m_(1, place.outputs) {
      Tensor<T> panel(panel_rows, place.inputs);
      norms(be, weight, {0, place.outputs}, panel.view(), m_.value);
    }

    /// Calls visit(name, parameter) for A, B and m, by PEFT's names.
    template <class Visitor>
    void for_each_parameter(Visitor&& visit) {
      low_.for_each_parameter(visit);
      visit("lora_magnitude_vector", m_);
    }
    [[nodiscard]] T scale() const { return low_.scale(); }             ///< s
    [[nodiscard]] bool needs_input() const { return true; }            ///< for dA = u' x
    [[nodiscard]] bool needs_output_gradient() const { return true; }  ///< for dB and dm
    [[nodiscard]] bool edits_output() const { return true; }           ///< g o dy

    /// z and y0, which live until the backward.
    void lay_out_kept(Cache& cache, Arena& arena, const Extent& extent) const {
      low_.lay_out_kept(cache.low, arena, extent);
      cache.y0 = arena.slab<T>("adapter: base output", extent.keep, extent.rows, extent.lane_rows, m_.value.cols);
    }
    /// The norms, g o B, and for the backward u, a copy of dy and the shares of the gradients.
    void lay_out_scratch(Cache& cache, Arena& arena, const Extent& extent) const {
      low_.lay_out_scratch(cache.low, arena, extent);
      const View<const T> b = low_.b();
      const Index back = extent.keep ? 1 : 0;
      cache.panel = arena.slab<T>("adapter: rows of W", false, 0, panel_rows, low_.a().cols);
      cache.g = arena.take<T>("adapter: magnitudes", 1, b.rows);
      if (!extent.keep && cache.found.size() != b.rows) {
        cache.found = Tensor<T>(1, b.rows);
      }
      cache.inverse = extent.keep ? arena.take<T>("adapter: magnitudes", 1, b.rows) : cache.found.view();
      cache.known = cache.known && extent.continues;
      cache.b = arena.take<T>("adapter: magnitudes", b.rows, b.cols);
      cache.dy = arena.slab<T>("adapter: gradients", false, 0, back * extent.lane_rows, b.rows);
      cache.shares = arena.take<T>("adapter: gradients", back * ceil_div(extent.rows, extent.lane_rows), b.rows);
      cache.dg = arena.take<T>("adapter: gradients", back, b.rows);
      cache.db = arena.take<T>("adapter: gradients", back * b.rows, b.cols);
    }
    /// n, g and g o B for the segments that follow.
    template <class B, class W>
    void prepare(const B& be, Cache& cache, const W& weight) const {
      if (!cache.known) {
        be.for_each_block(m_.value.cols, [&](Block block) {
          const View<T> panel = cache.panel.at({0, panel_rows, block.lane, 0});
          norms(be, weight, {block.begin, block.rows}, panel, cache.inverse);
        });
        be.invert(cache.inverse);
        cache.known = cache.inverse.data == cache.found.data();
      }
      direct(be, cache.inverse, cache.g, cache.b);
    }

    /// z = A x, of the masked x under dropout.
    template <class B>
    void read(const B& be, Cache& cache, Block block, In<T> x) const {
      low_.read(be, cache.low, block, x);
    }
    /// y0 = W0 x.
    template <class B>
    void read_output(const B& be, Cache& cache, Block block, In<T> y) const {
      be.copy(y, cache.y0.at(block));
    }
    /// y += (g - 1) o y0 + g o s B z.
    template <class B>
    void add(const B& be, Cache& cache, Block block, View<T> y) const {
      be.rescale_columns(cache.g, cache.y0.at(block), y);
      be.gemm_nt(scale(), cache.low.z.at(block), cache.b, 1, y);  // (T,r)(N,r)' -> (T,N)
    }

    /// u = s (g o B)' dy.
    template <class B>
    void add_vjp(const B& be, Cache& cache, Block block, In<T> dy) const {
      be.gemm_nn(scale(), dy, cache.b, 0, cache.low.u.at(block));  // (T,N)(N,r) -> (T,r)
      be.copy(dy, cache.dy.at(block));
    }
    /// The frozen product pulls g o dy back.
    template <class B>
    void read_output_vjp(const B& be, Cache& cache, Block block, View<T> dy) const {
      be.rescale_columns(cache.g, cache.dy.at(block), dy);
    }
    /// dx += A' u, under the mask of read().
    template <class B>
    void read_vjp(const B& be, Cache& cache, Block block, View<T> dx) const {
      low_.read_vjp(be, cache.low, block, dx);
    }
    /// A block's share of dA = u' x, of s dy' z, and of the sum of dy o y0.
    template <class B>
    void block_gradients(const B& be, Cache& cache, BlockShare share, Block block, In<T> x, In<T> dy) {
      low_.block_gradients(be, cache.low, share, block, x, dy);
      const View<T> own = cache.shares.middle_rows(share.block, 1);
      if (share.first) {
        be.fill(0, own);
      }
      be.add_column_dots(cache.y0.at(block), dy, own);
    }
    /// dA, dB and dm += the shares of all blocks, in their order. The sum of dy o s B z needs no row: it is that of
    /// B o (s dy' z) over r.
    template <class B>
    void gradients(const B& be, Cache& cache) {
      Parameter<T>& a = low_.a();
      Parameter<T>& b = low_.b();
      be.add_column_sums(1, cache.low.da, a.gradient.view().reshape(1, a.size()));
      be.fill(0, cache.db);
      be.add_column_sums(1, cache.low.db, cache.db.reshape(1, b.size()));
      be.fill(0, cache.dg);
      be.add_column_sums(1, cache.shares, cache.dg);
      be.add_row_dots(b.value, cache.db, cache.dg.reshape(b.value.rows, 1));
      be.multiply_rows(cache.g.reshape(b.value.rows, 1), cache.db, 1, b.gradient.view());
      be.multiply_columns(cache.inverse, cache.dg, cache.dg);
      be.add(1, cache.dg, m_.gradient.view());
    }

    /// into += (g - 1) o W0 + g o s B A: what attached computes, as a change of the weight.
    template <class B>
    void merge(const B& be, In<T> base, View<T> into) const {
      Tensor<T> panel(panel_rows, base.cols);
      Tensor<T> inverse(1, base.rows);
      Tensor<T> g(1, base.rows);
      Tensor<T> b(base.rows, low_.b().cols);
      norms(be, base, {0, base.rows}, panel.view(), inverse.view());
      be.invert(inverse.view());
      direct(be, inverse.view(), g.view(), b.view());
      be.fill(-1, inverse.view());
      be.add(1, g.view(), inverse.view());  // g - 1
      be.multiply_rows(inverse.view().reshape(base.rows, 1), base, 1, into);
      be.gemm_nn(scale(), b.view(), low_.a(), 1, into);  // (N,r)(r,M) -> (N,M)
    }

   private:
    static constexpr Index panel_rows = 16;  // of W0 + s B A at a time

    /// The norms of rows [run] of W0 + s B A: real sums in double, so no gradient passes through them.
    template <class B, class W>
    void norms(const B& be, const W& weight, RowRange run, View<T> panel, View<T> n) const {
      std::array<Index, panel_rows> list;
      for (Index begin = run.begin; begin < run.begin + run.rows; begin += panel_rows) {
        const Index rows = std::min(panel_rows, run.begin + run.rows - begin);
        const View<T> some = panel.middle_rows(0, rows);
        std::iota(list.begin(), list.end(), begin);
        be.gather_rows(weight, std::span<const Index>(list).first(static_cast<std::size_t>(rows)), some);
        be.gemm_nn(scale(), low_.b().middle_rows(begin, rows), low_.a(), 1, some);  // (16,r)(r,M) -> (16,M)
        be.row_norms(some, n.middle_cols(begin, rows));
      }
    }
    /// g = m / n, b = g o B.
    template <class B>
    void direct(const B& be, In<T> inverse, View<T> g, View<T> b) const {
      be.multiply_columns(inverse, m_.value, g);
      be.multiply_rows(g.reshape(b.rows, 1), low_.b(), 0, b);
    }

    Low low_;
    Parameter<T> m_;
  };
};

static_assert(weight_adapter<Dora<>>);

}  // namespace graft::adapters
