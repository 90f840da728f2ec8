// SPDX-License-Identifier: Apache-2.0
// OutputGain: y = gain o (W x), a gain for every output of a linear map. (IA)^3 of Liu et al., arXiv 2205.05638, has it on keys
// and values.
#pragma once

#include <graft/adapter.hpp>

namespace example {

using namespace graft;

/// An adapter: y = gain o (W x) before any bias, all ones at the start. Nothing of the input is read.
struct OutputGain {
  static constexpr std::string_view name = "output_gain";

  template <class Visitor>
  void for_each_setting(Visitor&&) {}
  [[nodiscard]] Index trained(const Place& place) const { return place.outputs; }

  template <scalar T>
  class Module {
   public:
    struct Cache {
      Slab<T> y0;  // (T,N) W x
      Slab<T> dy;  // (T,N)
    };

    Module() = default;
    template <class B, class W>
    Module(const OutputGain&, const B& be, const W&, const Place& place, Random)
        : gain_(1, place.outputs, false) {  // no weight decay: it would pull the gains to zero, not to one
      be.fill(1, gain_.value);
    }

    template <class Visitor>
    void for_each_parameter(Visitor&& visit) {
      visit("gain", gain_);
    }
    [[nodiscard]] bool needs_input() const { return false; }
    [[nodiscard]] bool needs_output_gradient() const { return false; }
    [[nodiscard]] bool edits_output() const { return true; }

    void lay_out_kept(Cache& cache, Arena& arena, const Extent& extent) const {
      cache.y0 = arena.slab<T>("own: output", extent.keep, extent.rows, extent.lane_rows, gain_.size());
    }
    void lay_out_scratch(Cache& cache, Arena& arena, const Extent& extent) const {
      cache.dy = arena.slab<T>("own: gradient", true, extent.keep ? extent.rows : 0, 0, gain_.size());
    }

    template <class B>
    void read_output(const B& be, Cache& cache, Block block, In<T> y) const {
      be.copy(y, cache.y0.at(block));
    }
    template <class B>
    void add(const B& be, Cache& cache, Block block, View<T> y) const {
      be.rescale_columns(gain_.value, cache.y0.at(block), y);  // y += (gain - 1) o y0
    }

    template <class B>
    void add_vjp(const B& be, Cache& cache, Block block, In<T> dy) const {
      be.copy(dy, cache.dy.at(block));
    }
    template <class B>
    void read_output_vjp(const B& be, Cache& cache, Block block, View<T> dy) const {
      be.rescale_columns(gain_.value, cache.dy.at(block), dy);
    }
    template <class B>
    void gradients(const B& be, Cache& cache, RowRange run, In<T>, In<T>) {
      const View<T> y0 = cache.y0.wide().middle_rows(run.begin, run.rows);
      be.add_column_dots(y0, cache.dy.wide().middle_rows(run.begin, run.rows), gain_.gradient.view());
    }

    template <class B>
    void merge(const B& be, In<T> base, View<T> into) const {
      for (Index i = 0; i < into.rows; ++i) {
        be.add(gain_.value(0, i) - T{1}, base.middle_rows(i, 1), into.middle_rows(i, 1));
      }
    }

   private:
    Parameter<T> gain_;
  };
};

static_assert(weight_adapter<OutputGain>);

}  // namespace example
