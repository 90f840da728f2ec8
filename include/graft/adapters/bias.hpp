// SPDX-License-Identifier: Apache-2.0
// Bias: y += b, zero at the start. Ben Zaken et al., "BitFit: Simple Parameter-efficient Fine-tuning", arXiv 2106.10199.
#pragma once

#include <graft/adapter.hpp>

namespace graft::adapters {

/// What is added to the bias of a linear map. LLaMA has none: there the trained vector is a new bias, zero at the start, so
/// training begins at the pretrained model either way. y += b, db = the sum of dy.
struct Bias {
  static constexpr std::string_view name = "bias";  ///< in files and messages

  /// There is nothing to set.
  template <class Visitor>
  void for_each_setting(Visitor&&) {}
  /// N numbers.
  [[nodiscard]] Index trained(const Place& place) const { return place.outputs; }

  /// One b. Costs an addition a token and output; keeps nothing.
  template <scalar T>
  class Module {
   public:
    /// What one pass has in hand.
    struct Cache {
      View<T> shares;  ///< a row for each block: its share of db
    };

    Module() = default;
    /// b zero.
    template <class B, class W>
    Module(const Bias&, const B&, const W&, const Place& place, Random) : b_(1, place.outputs) {}

    /// Calls visit("bias", parameter): (1,N), what is added to the map's own.
    template <class Visitor>
    void for_each_parameter(Visitor&& visit) {
      visit("bias", b_);
    }
    [[nodiscard]] bool needs_input() const { return false; }           ///< dy is enough
    [[nodiscard]] bool needs_output_gradient() const { return true; }  ///< for db
    void lay_out_kept(Cache&, Arena&, const Extent&) const {}          ///< keeps nothing

    /// The shares of db.
    void lay_out_scratch(Cache& cache, Arena& arena, const Extent& extent) const {
      const Index blocks = extent.keep ? ceil_div(extent.rows, extent.lane_rows) : 0;
      cache.shares = arena.take<T>("adapter: gradients", blocks, b_.size());
    }
    /// y += b.
    template <class B>
    void add(const B& be, Cache&, Block, View<T> y) const {
      be.add_bias(b_.value, y);
    }
    /// Nothing: what is added does not depend on x.
    template <class B>
    void add_vjp(const B&, Cache&, Block, In<T>) const {}
    /// A block's share of db, the sum of dy.
    template <class B>
    void block_gradients(const B& be, Cache& cache, BlockShare share, Block, In<T>, In<T> dy) {
      const View<T> own = cache.shares.middle_rows(share.block, 1);
      if (share.first) {
        be.fill(0, own);
      }
      be.add_column_sums(1, dy, own);
    }
    /// db += the shares of all blocks, in their order.
    template <class B>
    void gradients(const B& be, Cache& cache) {
      be.add_column_sums(1, cache.shares, b_.gradient.view());
    }

    /// into(1,N) += b. No weight changes, so it merges only where the map has a bias.
    template <class B>
    bool merge_bias(const B& be, In<T>, View<T> into) const {
      be.add(1, b_.value, into);
      return true;
    }

   private:
    Parameter<T> b_;
  };
};

/// BitFit trains biases and nothing else.
using BitFit = Bias;

static_assert(weight_adapter<Bias>);

}  // namespace graft::adapters
