// SPDX-License-Identifier: Apache-2.0
// Ia3: y = l o (W x + bias), or y = W (l o x) + bias where the input is scaled; l starts at ones.
// Liu et al., "Few-Shot Parameter-Efficient Fine-Tuning is Better and Cheaper than In-Context Learning", arXiv 2205.05638.
#pragma once

#include <graft/adapter.hpp>

namespace graft::adapters {

/// One factor for each output of a map, or for each input where the site is among `input_sites`. The paper scales keys,
/// values and what enters the last map of the feed-forward: sites k_proj, v_proj and down_proj.
///
///   output   y = l o c, c = W x + bias      dl = dy o c,    dx = W' (l o dy)
///   input    y = W x' + bias, x' = l o x    dl = dx' o x,   dx = l o dx'        dx' = W' dy
struct Ia3 {
  static constexpr std::string_view name = "ia3";  ///< in files and messages

  Index input_sites = site::down;  ///< sites whose input is scaled, joined with |: PEFT's feedforward_modules

  /// Calls visit(name, value) for the settings that a file holds.
  template <class Visitor>
  void for_each_setting(Visitor&& visit) {
    visit("input_sites", input_sites);
  }
  /// N numbers, or M where the input is scaled.
  [[nodiscard]] Index trained(const Place& place) const { return scales_input(place) ? place.inputs : place.outputs; }
  /// Whether a module there scales x, not y.
  [[nodiscard]] bool scales_input(const Place& place) const {
    return (static_cast<Sites>(input_sites) & place.where) != 0;
  }

  /// One l. Costs a multiply-add a token and factor; keeps c, N numbers of a token, or nothing where the input is scaled.
  template <scalar T>
  class Module {
   public:
    /// What one pass has in hand, for T rows of the map.
    struct Cache {
      Slab<T> seen;    ///< (T,N) c, or (T,M) x of the rows in hand
      Slab<T> pulled;  ///< (T,N) dy, or (T,M) dx', of the rows in hand
      View<T> shares;  ///< a row for each block: its share of dl
    };

    Module() = default;
    /// l at ones. `bias` is the map's, (1,N) or empty, and outlives the module: it is scaled with the output.
    template <class B, class W>
    Module(const Ia3& recipe, const B& be, const W&, View<const T> bias, const Place& place, Random)
        : scales_input_(recipe.scales_input(place)),
          l_(scales_input_ ? 1 : place.outputs, scales_input_ ? place.inputs : 1),
          bias_(bias) {
      be.fill(1, l_.value);
    }

    /// Calls visit("ia3_l", parameter): (N,1), or (1,M) where the input is scaled, as PEFT has it.
    template <class Visitor>
    void for_each_parameter(Visitor&& visit) {
      visit("ia3_l", l_);
    }
    [[nodiscard]] bool needs_input() const { return scales_input_; }             ///< for dl = dx' o x
    [[nodiscard]] bool needs_output_gradient() const { return !scales_input_; }  ///< for dl = dy o c
    [[nodiscard]] bool edits_input() const { return scales_input_; }             ///< l o x
    [[nodiscard]] bool edits_output() const { return !scales_input_; }           ///< l o dy

    /// c, which lives until the backward; x does not.
    void lay_out_kept(Cache& cache, Arena& arena, const Extent& extent) const {
      const bool wide = extent.keep && !scales_input_;
      cache.seen = arena.slab<T>("adapter: base output", wide, extent.rows, extent.lane_rows, l_.size());
    }
    /// What is pulled back, and the shares of dl.
    void lay_out_scratch(Cache& cache, Arena& arena, const Extent& extent) const {
      const Index back = extent.keep ? 1 : 0;
      cache.pulled = arena.slab<T>("adapter: gradients", false, 0, back * extent.lane_rows, l_.size());
      cache.shares = arena.take<T>("adapter: gradients", back * ceil_div(extent.rows, extent.lane_rows), l_.size());
    }

    /// Input: x as it stands before any edit.
    template <class B>
    void read(const B& be, Cache& cache, Block block, In<T> x) const {
      if (scales_input_) {
        be.copy(x, cache.seen.at(block));
      }
    }
    /// Input: x' = l o x.
    template <class B>
    void edit_input(const B& be, Cache& cache, Block block, View<T> x) const {
      if (scales_input_) {
        be.rescale_columns(l(), cache.seen.at(block), x);
      }
    }
    /// Output: c = W x + bias.
    template <class B>
    void read_output(const B& be, Cache& cache, Block block, In<T> y) const {
      if (!scales_input_) {
        be.copy(y, cache.seen.at(block));
        if (!bias_.empty()) {
          be.add_bias(bias_, cache.seen.at(block));
        }
      }
    }
    /// Output: y += (l - 1) o c.
    template <class B>
    void add(const B& be, Cache& cache, Block block, View<T> y) const {
      if (!scales_input_) {
        be.rescale_columns(l(), cache.seen.at(block), y);
      }
    }

    /// Output: dy as it stands before any edit.
    template <class B>
    void add_vjp(const B& be, Cache& cache, Block block, In<T> dy) const {
      if (!scales_input_) {
        be.copy(dy, cache.pulled.at(block));
      }
    }
    /// Output: the frozen product pulls l o dy back.
    template <class B>
    void read_output_vjp(const B& be, Cache& cache, Block block, View<T> dy) const {
      if (!scales_input_) {
        be.rescale_columns(l(), cache.pulled.at(block), dy);
      }
    }
    /// Input: dx'.
    template <class B>
    void edit_input_vjp(const B& be, Cache& cache, Block block, View<T> dx) const {
      if (scales_input_) {
        be.copy(dx, cache.pulled.at(block));
      }
    }
    /// Input: dx += (l - 1) o dx'.
    template <class B>
    void read_vjp(const B& be, Cache& cache, Block block, View<T> dx) const {
      if (scales_input_) {
        be.rescale_columns(l(), cache.pulled.at(block), dx);
      }
    }
    /// A block's share of dl, the sum of dy o c or of dx' o x.
    template <class B>
    void block_gradients(const B& be, Cache& cache, BlockShare share, Block block, In<T> x, In<T> dy) {
      const View<T> own = cache.shares.middle_rows(share.block, 1);
      if (share.first) {
        be.fill(0, own);
      }
      be.add_column_dots(scales_input_ ? x : cache.seen.at(block), scales_input_ ? cache.pulled.at(block) : dy, own);
    }
    /// dl += the shares of all blocks, in their order.
    template <class B>
    void gradients(const B& be, Cache& cache) {
      be.add_column_sums(1, cache.shares, l_.gradient.view().reshape(1, l_.size()));
    }

    /// into += (l - 1) o W, by columns where the input is scaled, else by rows.
    template <class B>
    void merge(const B& be, In<T> base, View<T> into) const {
      if (scales_input_) {
        be.rescale_columns(l(), base, into);
        return;
      }
      for (Index i = 0; i < base.rows; ++i) {
        be.add(l()(0, i) - T{1}, base.middle_rows(i, 1), into.middle_rows(i, 1));
      }
    }
    /// into(1,N) += (l - 1) o bias; false where the input is scaled, which leaves the bias alone.
    template <class B>
    bool merge_bias(const B& be, In<T> base, View<T> into) const {
      if (!scales_input_) {
        be.rescale_columns(l(), base, into);
      }
      return !scales_input_;
    }

   private:
    [[nodiscard]] View<T> l() const { return l_.value.reshape(1, l_.size()); }

    bool scales_input_ = false;
    Parameter<T> l_;
    View<const T> bias_;
  };
};

static_assert(weight_adapter<Ia3>);

}  // namespace graft::adapters
