// SPDX-License-Identifier: Apache-2.0
// Bottleneck: y <- y + s (U f(D x + b_d) + b_u), a small network inserted after a half block (series) or beside it (parallel).
// Houlsby et al., arXiv 1902.00751 (series); Pfeiffer et al., arXiv 2005.00247; He et al., arXiv 2110.04366 (parallel).
#pragma once

#include <graft/adapter.hpp>
#include <graft/adapters/policies/bottleneck.hpp>
#include <graft/adapters/policies/initializer.hpp>
#include <graft/ops/activation.hpp>

namespace graft::adapters {

/// Where x comes from is the policy: Series reads the rows y(T,d) that it edits, Parallel the input of the half block whose
/// output it adds to. With z = x D' + b_d and the upstream gradient V:
///
///   y' = y + s (f(z) U' + b_u),   u = s (V U) o f'(z),   dx = u D   (+ V in series)
///   dD = u'x,   db_d = sum u,   dU = s V'f(z),   db_u = s sum V.
template <class Where = policies::Series, ops::Activation F = ops::Activation::relu>
struct Bottleneck {
  static constexpr std::string_view name = "bottleneck";   ///< in files and messages
  static constexpr Sites sites = Where::sites;             ///< where it may stand
  static constexpr bool is_series = !Where::reads_input;   ///< x is y itself
  static constexpr bool is_parallel = Where::reads_input;  ///< x is the input of the half block

  Index width = 64;  ///< r, the columns of the bottleneck
  double scale = 1;  ///< s

  /// Calls visit(name, value) for the settings that a file holds.
  template <class Visitor>
  void for_each_setting(Visitor&& visit) {
    visit("width", width);
    visit("scale", scale);
  }
  /// The policies on which the meaning of stored numbers depends.
  template <class Visitor>
  static void for_each_policy(Visitor&& visit) {
    visit("where", policy_name<Where>());
    visit("activation", ops::activation_name(F));
  }
  /// 2 d r + r + d numbers.
  [[nodiscard]] Index trained(const Place& place) const { return 2 * place.outputs * width + width + place.outputs; }

  /// One D(r,d), U(d,r) and their biases. Costs 2 d r multiply-adds a row; keeps z, and in series the row.
  template <scalar T>
  class Module {
   public:
    /// What one pass has in hand, for T rows.
    struct Cache {
      Slab<T> z;           ///< (T,r) before f; f(z) once the backward has passed
      Slab<T> a;           ///< (T,r) f(z), of the rows in hand
      Slab<T> u;           ///< (T,r) gradient of z
      Slab<T> x;           ///< (T,d) series: before the edit
      Slab<T> v;           ///< (T,d) series: upstream gradient
      bool keeps = false;  ///< a backward follows
    };

    Module() = default;
    /// D random as torch's Linear, all else zero: the untrained module does nothing. No width is adapter.740.
    template <class B>
    Module(const Bottleneck& recipe, const B&, const Place& place, Random random)
        : down_(checked_width(recipe, place), place.inputs),
          down_bias_(1, recipe.width),
          up_(place.outputs, recipe.width),
          up_bias_(1, place.outputs),
          scale_(static_cast<real_type<T>>(recipe.scale)) {
      policies::KaimingUniform::fill(down_.value, random);
    }

    /// Calls visit(name, parameter) for D, b_d, U and b_u.
    template <class Visitor>
    void for_each_parameter(Visitor&& visit) {
      visit("down.weight", down_);
      visit("down.bias", down_bias_);
      visit("up.weight", up_);
      visit("up.bias", up_bias_);
    }

    /// z and, in series, x, which live until the backward.
    void lay_out_kept(Cache& cache, Arena& arena, const Extent& extent) const {
      cache.keeps = extent.keep;
      cache.z = arena.slab<T>("adapter: bottleneck", extent.keep, extent.rows, extent.lane_rows, width());
      cache.x =
          arena.slab<T>("adapter: edited rows", true, is_series && extent.keep ? extent.rows : 0, 0, down_.value.cols);
    }
    /// The rest, which the layer gives back.
    void lay_out_scratch(Cache& cache, Arena& arena, const Extent& extent) const {
      const Index rows = extent.keep ? extent.rows : 0;
      cache.a = arena.slab<T>("adapter: bottleneck in hand", false, 0, extent.lane_rows, width());
      cache.u = arena.slab<T>("adapter: gradients", true, rows, 0, width());
      cache.v = arena.slab<T>("adapter: gradients", true, is_series ? rows : 0, 0, up_.value.rows);
    }

    /// Series: y(T,d), in place.
    template <class B>
      requires is_series
    void edit(const B& be, Cache& cache, Block block, View<T> y) const {
      if (cache.keeps) {
        be.copy(y, cache.x.at(block));
      }
      enter(be, cache, block, y);
      leave(be, cache, block, y);
    }
    /// Series: dy(T,d), in place.
    template <class B>
      requires is_series
    void edit_vjp(const B& be, Cache& cache, Block block, View<T> dy) const {
      be.copy(dy, cache.v.at(block));
      leave_vjp(be, cache, block, dy);
      enter_vjp(be, cache, block, dy);
    }
    /// Series: adds the sums over the edited rows [run].
    template <class B>
      requires is_series
    void gradients(const B& be, Cache& cache, RowRange run) {
      sum(be, cache, run, cache.x.wide().middle_rows(run.begin, run.rows),
          cache.v.wide().middle_rows(run.begin, run.rows));
    }

    /// Parallel: the gradients read x and dy. @{
    [[nodiscard]] bool needs_input() const
      requires is_parallel
    {
      return true;
    }
    [[nodiscard]] bool needs_output_gradient() const
      requires is_parallel
    {
      return true;
    }
    /// @}
    /// Parallel: z, of the half block's input.
    template <class B>
      requires is_parallel
    void read(const B& be, Cache& cache, Block block, In<T> x) const {
      enter(be, cache, block, x);
    }
    /// Parallel: y +=, on the half block's output.
    template <class B>
      requires is_parallel
    void add(const B& be, Cache& cache, Block block, View<T> y) const {
      leave(be, cache, block, y);
    }
    /// Parallel: u.
    template <class B>
      requires is_parallel
    void add_vjp(const B& be, Cache& cache, Block block, In<T> dy) const {
      leave_vjp(be, cache, block, dy);
    }
    /// Parallel: dx +=.
    template <class B>
      requires is_parallel
    void read_vjp(const B& be, Cache& cache, Block block, View<T> dx) const {
      enter_vjp(be, cache, block, dx);
    }
    /// Parallel: adds the sums over the rows [run], of which x and dy are.
    template <class B>
      requires is_parallel
    void gradients(const B& be, Cache& cache, RowRange run, In<T> x, In<T> dy) {
      sum(be, cache, run, x, dy);
    }

   private:
    [[nodiscard]] Index width() const { return down_.value.rows; }

    static Index checked_width(const Bottleneck& recipe, const Place& place) {
      if (recipe.width < 1) {
        fail("adapter.740", "a bottleneck needs a width of at least 1; found " + std::to_string(recipe.width),
             place.name);
      }
      return recipe.width;
    }
    template <class B>
    void enter(const B& be, Cache& cache, Block block, In<T> x) const {
      const View<T> z = cache.z.at(block);
      be.fill(0, z);
      be.add_bias(down_bias_.value, z);
      be.gemm_nt(1, x, down_.value, 1, z);  // (T,d)(r,d)' -> (T,r)
    }
    template <class B>
    void leave(const B& be, Cache& cache, Block block, View<T> y) const {
      const View<T> a = cache.a.at(block);
      be.activation(F, cache.z.at(block), a);
      be.gemm_nt(scale_, a, up_.value, 1, y);  // (T,r)(d,r)' -> (T,d)
      be.add_bias(scale_, up_bias_.value, y);
    }
    template <class B>
    void leave_vjp(const B& be, Cache& cache, Block block, In<T> dy) const {
      const View<T> z = cache.z.at(block);
      const View<T> u = cache.u.at(block);
      be.gemm_nn(scale_, dy, up_.value, 0, u);  // (T,d)(d,r) -> (T,r)
      be.activation_vjp(F, z, u, u);
      be.activation(F, z, z);
    }
    template <class B>
    void enter_vjp(const B& be, Cache& cache, Block block, View<T> dx) const {
      be.gemm_nn(1, cache.u.at(block), down_.value, 1, dx);  // (T,r)(r,d) -> (T,d)
    }
    template <class B>
    void sum(const B& be, Cache& cache, RowRange run, In<T> x, In<T> dy) {
      const View<T> u = cache.u.wide().middle_rows(run.begin, run.rows);
      be.gemm_tn(1, u, x, 1, down_.gradient.view());  // (T,r)'(T,d) -> (r,d)
      be.add_column_sums(1, u, down_bias_.gradient.view());
      be.gemm_tn(scale_, dy, cache.z.wide().middle_rows(run.begin, run.rows), 1, up_.gradient.view());  // -> (d,r)
      be.add_column_sums(scale_, dy, up_bias_.gradient.view());
    }

    Parameter<T> down_;
    Parameter<T> down_bias_;
    Parameter<T> up_;
    Parameter<T> up_bias_;
    T scale_{1};
  };
};

/// Houlsby's adapter, after each half block; at site::feed_forward alone, Pfeiffer's.
template <ops::Activation F = ops::Activation::relu>
using SeriesAdapter = Bottleneck<policies::Series, F>;
/// He's adapter, beside the feed-forward.
template <ops::Activation F = ops::Activation::relu>
using ParallelAdapter = Bottleneck<policies::Parallel, F>;

static_assert(representation_adapter<SeriesAdapter<>> && half_block_adapter<ParallelAdapter<>>);

}  // namespace graft::adapters
