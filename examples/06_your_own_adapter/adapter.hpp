// SPDX-License-Identifier: Apache-2.0
// OutputGain: y = (1 + a) * (W x), a gain for every output of a linear map. (IA)^3 of Liu et al., arXiv 2205.05638, has it on
// keys and values.
#pragma once

#include <graft/adapter.hpp>

namespace example {

using namespace graft;

/// An adapter: y += a * (W x), one gain an output, zero at the start. Nothing of the input is read.
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
    Module(const OutputGain&, const B&, const W&, const Place& place, Random) : gain_(1, place.outputs) {}

    template <class Visitor>
    void for_each_parameter(Visitor&& visit) {
      visit("gain", gain_);
    }
    [[nodiscard]] bool needs_input() const { return false; }
    [[nodiscard]] bool needs_output_gradient() const { return false; }
    [[nodiscard]] bool edits_output() const { return true; }

    void lay_out_kept(Cache& cache, Arena& arena, const Extent& extent) const {
      cache.y0 = arena.slab<T>("own: output", extent.keep, extent.rows, extent.lane_rows, gain_.value.cols);
    }
    void lay_out_scratch(Cache& cache, Arena& arena, const Extent& extent) const {
      cache.dy = arena.slab<T>("own: gradient", true, extent.keep ? extent.rows : 0, 0, gain_.value.cols);
    }
    template <class B>
    void read_output(const B& be, Cache& cache, Block block, In<T> y) const {
      be.copy(y, cache.y0.at(block));
    }
    template <class B>
    void add(const B&, Cache& cache, Block block, View<T> y) const {
      add_scaled(cache.y0.at(block), y);
    }
    template <class B>
    void add_vjp(const B& be, Cache& cache, Block block, In<T> dy) const {
      be.copy(dy, cache.dy.at(block));
    }
    template <class B>
    void read_output_vjp(const B&, Cache& cache, Block block, View<T> dy) const {
      add_scaled(cache.dy.at(block), dy);
    }
    template <class B>
    void gradients(const B&, Cache& cache, RowRange run, In<T>, In<T>) {
      for (Index t = run.begin; t < run.begin + run.rows; ++t) {
        for (Index j = 0; j < gain_.value.cols; ++j) {
          gain_.gradient(0, j) += cache.y0.wide()(t, j) * cache.dy.wide()(t, j);
        }
      }
    }
    template <class B>
    void merge(const B&, In<T> base, View<T> into) const {
      for (Index i = 0; i < into.rows; ++i) {
        for (Index j = 0; j < into.cols; ++j) {
          into(i, j) += gain_.value(0, i) * base(i, j);
        }
      }
    }

   private:
    void add_scaled(View<const T> from, View<T> to) const {
      for (Index i = 0; i < to.rows; ++i) {
        for (Index j = 0; j < to.cols; ++j) {
          to(i, j) += gain_.value(0, j) * from(i, j);
        }
      }
    }
    Parameter<T> gain_;
  };
};

static_assert(weight_adapter<OutputGain>);

}  // namespace example
