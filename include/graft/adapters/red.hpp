// SPDX-License-Identifier: Apache-2.0
// Red: h <- s o h + b, a scale and a shift for each column of a stream.
// "Advancing parameter efficiency in fine-tuning via representation editing", arXiv 2402.15179.
#pragma once

#include <graft/adapter.hpp>

namespace graft::adapters {

/// Scale and shift of hidden rows h(E,d). With the upstream gradient D:
///
///   h' = s o h + b,   dh = s o D,   ds = sum of D o h,   db = sum of D.
struct Red {
  static constexpr std::string_view name = "red";  ///< in files and messages

  /// There is nothing to set.
  template <class Visitor>
  void for_each_setting(Visitor&&) {}
  /// 2 d numbers.
  [[nodiscard]] Index trained(const Place& place) const { return 2 * place.outputs; }

  /// One s and b. Costs d multiply-adds an edited row, and keeps that row.
  template <scalar T>
  class Module {
   public:
    /// What one pass has in hand, for the E rows that it edits.
    struct Cache {
      Slab<T> h;           ///< (E,d) before the edit
      Slab<T> delta;       ///< (E,d) upstream gradient
      bool keeps = false;  ///< a backward follows
    };

    Module() = default;
    /// s = 1 and b = 0: the untrained edit does nothing. Weight decay would pull s to 0, so s does not decay.
    template <class B>
    Module(const Red&, const B& be, const Place& place, Random) : s_(1, place.outputs, false), b_(1, place.outputs) {
      be.fill(1, s_.value);
    }

    /// Calls visit(name, parameter) for s and b.
    template <class Visitor>
    void for_each_parameter(Visitor&& visit) {
      visit("scale", s_);
      visit("bias", b_);
    }

    /// h, which lives until the backward.
    void lay_out_kept(Cache& cache, Arena& arena, const Extent& extent) const {
      cache.keeps = extent.keep;
      cache.h = arena.slab<T>("adapter: edited rows", true, extent.keep ? extent.rows : 0, 0, s_.value.cols);
    }
    /// delta, which the layer gives back.
    void lay_out_scratch(Cache& cache, Arena& arena, const Extent& extent) const {
      cache.delta = arena.slab<T>("adapter: gradients", true, extent.keep ? extent.rows : 0, 0, s_.value.cols);
    }

    /// h(E,d), in place.
    template <class B>
    void edit(const B& be, Cache& cache, Block block, View<T> h) const {
      if (cache.keeps) {
        be.copy(h, cache.h.at(block));
      }
      be.rescale_columns(s_.value, h, h);
      be.add_bias(b_.value, h);
    }
    /// dh(E,d), in place.
    template <class B>
    void edit_vjp(const B& be, Cache& cache, Block block, View<T> dh) const {
      be.copy(dh, cache.delta.at(block));
      be.rescale_columns(s_.value, dh, dh);
    }
    /// The edit of every row of h = V x + c as a change of V(d,M): row i of V by s_i.
    template <class B>
    void fold_weight(const B& be, View<T> v) const {
      for (Index i = 0; i < v.rows; ++i) {
        be.scale(s_.value(0, i), v.middle_rows(i, 1));
      }
    }
    /// And of c(1,d): c <- s o c + b.
    template <class B>
    void fold_bias(const B& be, View<T> c) const {
      be.rescale_columns(s_.value, c, c);
      be.add(1, b_.value, c);
    }
    /// Adds the sums over the edited rows [run].
    template <class B>
    void gradients(const B& be, Cache& cache, RowRange run) {
      const View<T> delta = cache.delta.wide().middle_rows(run.begin, run.rows);
      be.add_column_dots(delta, cache.h.wide().middle_rows(run.begin, run.rows), s_.gradient.view());
      be.add_column_sums(1, delta, b_.gradient.view());
    }

   private:
    Parameter<T> s_;
    Parameter<T> b_;
  };
};

static_assert(representation_adapter<Red>);

}  // namespace graft::adapters
