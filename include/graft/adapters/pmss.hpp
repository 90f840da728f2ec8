// SPDX-License-Identifier: Apache-2.0
// Pmss: W = W0 + s C U R with C = W0[:, J] and R = W0[K, :] frozen, U(c,r) trained from zero, s = alpha / max(c, r).
// "PMSS: Pretrained Matrices Skeleton Selection", arXiv 2409.16722.
#pragma once

#include <algorithm>  // adjacent_find, max, min, sort
#include <span>
#include <utility>  // as_const, pair

#include <graft/adapter.hpp>
#include <graft/adapters/policies/scaling.hpp>
#include <graft/adapters/policies/selector.hpp>

namespace graft::adapters {

/// Which side of the linear map carries the update; the smaller one is cheaper.
enum class Side { output, input };

/// Skeleton update of a linear map. Because the skeletons come from W0 itself, R x = (W0 x)[K] and C v = W0 (E_J v), so
///
///   output edit   y = y0 + s C U y0[K]              v = C' dy,  dU = s v z',  dy0 = dy + E_K s U' v    z = y0[K]
///   input edit    x' = x + E_J s U R x, y = W0 x'   q = dx'[J], dU = s q z',  dx = dx' + s R' U' q     z = R x
///
/// are the same map. Each needs one skinny product and one panel (C or R), gathered into the arena, and keeps only z.
template <Index Rank = dynamic, selector Select = policies::PivotedQr, scaling Scale = policies::AlphaOverRank>
struct Pmss {
  static constexpr std::string_view name = "pmss";  ///< in files and messages

  Index rank = Rank == dynamic ? 64 : Rank;  ///< c and r where they are 0
  Index columns = 0;                         ///< c; 0 = rank
  Index rows = 0;                            ///< r; 0 = rank
  double alpha = 0;                          ///< 0 = the policy's own, or twice the larger of c and r: s = 2
  bool clamp = false;  ///< lower c and r to what a smaller matrix has; s stays that of the rank asked for

  /// Calls visit(name, value) for the settings that a file holds.
  template <class Visitor>
  void for_each_setting(Visitor&& visit) {
    visit("rank", rank);
    visit("columns", columns);
    visit("rows", rows);
    visit("alpha", alpha);
    visit("clamp", clamp);
  }
  /// The policies on which the meaning of stored numbers depends.
  template <class Visitor>
  static void for_each_policy(Visitor&& visit) {
    visit("scaling", policy_name<Scale>());
  }
  /// s, of the rank that was asked for.
  [[nodiscard]] double scale() const {
    const Index larger = std::max(columns > 0 ? columns : rank, rows > 0 ? rows : rank);
    if (alpha != 0) {
      return Scale::scale(alpha, larger);
    }
    if constexpr (requires { Scale::usual; }) {
      return Scale::usual;
    } else {
      return Scale::scale(2.0 * static_cast<double>(larger), larger);
    }
  }
  /// c and r of a map, clamped where that is asked for; sides that it does not have are adapter.610.
  [[nodiscard]] std::pair<Index, Index> sides(const Place& place) const {
    const Index limit = std::min(place.outputs, place.inputs);
    const auto side = [&](Index asked) { return clamp ? std::min(asked, limit) : asked; };
    const Index c = side(columns > 0 ? columns : rank);
    const Index r = side(rows > 0 ? rows : rank);
    if (c < 1 || r < 1 || c > limit || r > limit) {
      fail("adapter.610",
           "PMSS needs 1 <= c, r <= min(outputs, inputs) = " + std::to_string(limit) + "; found c = " +
               std::to_string(c) + ", r = " + std::to_string(r) + " (lower the rank, or ask for a clamp)",
           place.name);
    }
    return {c, r};
  }
  /// c r numbers, whatever the size of the map.
  [[nodiscard]] Index trained(const Place& place) const {
    const auto [c, r] = sides(place);
    return c * r;
  }

  /// One U with its two index lists. Costs k min(N, M) multiply-adds a token; keeps r numbers of it.
  template <scalar T>
  class Module {
   public:
    /// What one pass has in hand, for T rows of the map.
    struct Cache {
      View<T> panel;  ///< (N,c) C, or (r,M) R
      Slab<T> z;      ///< (T,r) y0[K], or R x
      Slab<T> v;      ///< (T,c) v, or q
      Slab<T> small;  ///< (lane, max(c,r))
    };

    Module() = default;
    /// U zero, J and K chosen from the weight itself by products of `be`; a selector may draw from `random`.
    template <class B, class W>
    Module(const Pmss& recipe, const B& be, const W& weight, const Place& place, Random random)
        : Module(recipe, chosen(recipe, be, weight.view(), place, random), place) {}
    /// With skeletons chosen elsewhere: read from a file, or prepared once.
    Module(const Pmss& recipe, Skeleton skeleton, const Place& place)
        : skeleton_(fitting(recipe, std::move(skeleton), place)),
          u_(static_cast<Index>(skeleton_.columns.size()), static_cast<Index>(skeleton_.rows.size())),
          scale_(static_cast<real_type<T>>(recipe.scale())),
          outputs_(place.outputs),
          inputs_(place.inputs),
          side_(place.outputs <= place.inputs ? Side::output : Side::input) {}

    /// Calls visit("U", parameter): the skeletons are frozen.
    template <class Visitor>
    void for_each_parameter(Visitor&& visit) {
      visit("U", u_);
    }
    /// The frozen index lists that a file must carry beside U.
    template <class Visitor>
    void for_each_index(Visitor&& visit) {
      visit("J", skeleton_.columns);
      visit("K", skeleton_.rows);
    }
    [[nodiscard]] T scale() const { return scale_; }                           ///< s
    [[nodiscard]] Side side() const { return side_; }                          ///< the smaller of the map's two
    [[nodiscard]] const Skeleton& skeleton() const { return skeleton_; }       ///< J and K
    [[nodiscard]] bool needs_input() const { return false; }                   ///< z is enough
    [[nodiscard]] bool needs_output_gradient() const { return false; }         ///< v is enough
    [[nodiscard]] bool edits_input() const { return side_ == Side::input; }    ///< a copy of x, in the columns J
    [[nodiscard]] bool edits_output() const { return side_ == Side::output; }  ///< a copy of dy, in the rows K

    /// z, which lives until the backward.
    void lay_out_kept(Cache& cache, Arena& arena, const Extent& extent) const {
      cache.z = arena.slab<T>("adapter: skeleton rows", extent.keep, extent.rows, extent.lane_rows, r());
    }
    /// The panel, v and a lane's small product, which the layer gives back.
    void lay_out_scratch(Cache& cache, Arena& arena, const Extent& extent) const {
      cache.panel = side_ == Side::output ? arena.take<T>("adapter: skeleton panel", outputs_, c())
                                          : arena.take<T>("adapter: skeleton panel", r(), inputs_);
      cache.v = arena.slab<T>("adapter: gradients", true, extent.keep ? extent.rows : 0, 0, c());
      cache.small = arena.slab<T>("adapter: small", false, 0, extent.lane_rows, std::max(c(), r()));
    }
    /// Gathers the panel for the segments that follow.
    template <class B, class W>
    void prepare(const B& be, Cache& cache, const W& weight) const {
      if (side_ == Side::output) {
        be.gather_cols(weight, columns(), cache.panel);
      } else {
        be.gather_rows(weight, rows(), cache.panel);
      }
    }

    /// Input edit: z = R x.
    template <class B>
    void read(const B& be, Cache& cache, Block block, In<T> x) const {
      if (side_ == Side::input) {
        be.gemm_nt(1, x, cache.panel, 0, cache.z.at(block));  // (T,M)(r,M)' -> (T,r)
      }
    }
    /// Input edit: x[J] += s U z.
    template <class B>
    void edit_input(const B& be, Cache& cache, Block block, View<T> x) const {
      if (side_ == Side::input) {
        be.scatter_add_cols(scale_, core(be, cache, block), columns(), x);
      }
    }
    /// Output edit: z = y0[K].
    template <class B>
    void read_output(const B& be, Cache& cache, Block block, In<T> y) const {
      if (side_ == Side::output) {
        be.gather_cols(y, rows(), cache.z.at(block));
      }
    }
    /// Output edit: y += s C U z.
    template <class B>
    void add(const B& be, Cache& cache, Block block, View<T> y) const {
      if (side_ == Side::output) {
        be.gemm_nt(scale_, core(be, cache, block), cache.panel, 1, y);  // (T,c)(N,c)' -> (T,N)
      }
    }

    /// Output edit: v = C' dy.
    template <class B>
    void add_vjp(const B& be, Cache& cache, Block block, In<T> dy) const {
      if (side_ == Side::output) {
        be.gemm_nn(1, dy, cache.panel, 0, cache.v.at(block));  // (T,N)(N,c) -> (T,c)
      }
    }
    /// Output edit: dy[K] += s U' v.
    template <class B>
    void read_output_vjp(const B& be, Cache& cache, Block block, View<T> dy) const {
      if (side_ == Side::output) {
        be.scatter_add_cols(scale_, core_vjp(be, cache, block), rows(), dy);
      }
    }
    /// Input edit: q = dx'[J].
    template <class B>
    void edit_input_vjp(const B& be, Cache& cache, Block block, View<T> dx) const {
      if (side_ == Side::input) {
        be.gather_cols(dx, columns(), cache.v.at(block));
      }
    }
    /// Input edit: dx += s R' U' q.
    template <class B>
    void read_vjp(const B& be, Cache& cache, Block block, View<T> dx) const {
      if (side_ == Side::input) {
        be.gemm_nn(scale_, core_vjp(be, cache, block), cache.panel, 1, dx);  // (T,r)(r,M) -> (T,M)
      }
    }
    /// dU += s v' z over the rows of one run; neither x nor dy is read.
    template <class B>
    void gradients(const B& be, Cache& cache, RowRange run, In<T>, In<T>) {
      be.gemm_tn(scale_, cache.v.wide().middle_rows(run.begin, run.rows),
                 cache.z.wide().middle_rows(run.begin, run.rows), 1, u_.gradient.view());  // -> (c,r)
    }

    /// into += s C U R, gathered from the untouched `base`: what attached computes, as a change of the weight.
    template <class B>
    void merge(const B& be, In<T> base, View<T> into) const {
      Tensor<T> left(outputs_, c());  // C
      Tensor<T> right(r(), inputs_);  // R
      Tensor<T> both(outputs_, r());  // C U
      be.gather_cols(base, columns(), left.view());
      be.gather_rows(base, rows(), right.view());
      be.gemm_nn(1, left.view(), u_.value, 0, both.view());    // (N,c)(c,r) -> (N,r)
      be.gemm_nn(scale_, both.view(), right.view(), 1, into);  // (N,r)(r,M) -> (N,M)
    }

   private:
    /// The skeleton, if it is one that this recipe could have chosen from a matrix of this size.
    static Skeleton fitting(const Pmss& recipe, Skeleton skeleton, const Place& place) {
      const auto check = [&](const char* list, const std::vector<std::int32_t>& chosen, Index asked, Index extent) {
        Index expected = asked > 0 ? asked : recipe.rank;
        expected = recipe.clamp ? std::min({expected, place.outputs, place.inputs}) : expected;
        std::vector<std::int32_t> sorted = chosen;
        std::sort(sorted.begin(), sorted.end());
        const bool repeats = std::adjacent_find(sorted.begin(), sorted.end()) != sorted.end();
        if (std::ssize(chosen) != expected || expected < 1 || (repeats && !draws_with_replacement<Select>) ||
            sorted.front() < 0 || sorted.back() >= extent) {
          fail("adapter.611",
               std::string("the skeleton ") + list + " holds " + std::to_string(chosen.size()) + " indices, expected " +
                   std::to_string(expected) + (draws_with_replacement<Select> ? "" : " different") +
                   " ones from 0 to " + std::to_string(extent - 1),
               place.name);
        }
      };
      check("J", skeleton.columns, recipe.columns, place.inputs);
      check("K", skeleton.rows, recipe.rows, place.outputs);
      return skeleton;
    }
    [[nodiscard]] Index c() const { return u_.value.rows; }
    [[nodiscard]] Index r() const { return u_.value.cols; }
    [[nodiscard]] std::span<const std::int32_t> columns() const { return skeleton_.columns; }
    [[nodiscard]] std::span<const std::int32_t> rows() const { return skeleton_.rows; }

    template <class B>
    View<T> core(const B& be, Cache& cache, Block block) const {
      const View<T> uz = cache.small.at(block).middle_cols(0, c());
      be.gemm_nt(1, cache.z.at(block), u_.value, 0, uz);  // (T,r)(c,r)' -> (T,c)
      return uz;
    }
    template <class B>
    View<T> core_vjp(const B& be, Cache& cache, Block block) const {
      const View<T> uv = cache.small.at(block).middle_cols(0, r());
      be.gemm_nn(1, cache.v.at(block), u_.value, 0, uv);  // (T,c)(c,r) -> (T,r)
      return uv;
    }

    template <class B, class S>
    static Skeleton chosen(const Pmss& recipe, const B& be, View<const S> weight, const Place& place, Random random) {
      const auto [c, r] = recipe.sides(place);
      if constexpr (scalar<S> && !std::floating_point<S>) {  // the complex step proves gradients; indices are constants
        Tensor<real_type<S>> real(weight.rows, weight.cols);
        for (Index i = 0; i < weight.rows; ++i) {
          for (Index j = 0; j < weight.cols; ++j) {
            real(i, j) = real_part(weight(i, j));
          }
        }
        return Select::select(be, std::as_const(real).view(), c, r, random, place.name);
      } else {
        return Select::select(be, weight, c, r, random, place.name);
      }
    }

    Skeleton skeleton_;
    Parameter<T> u_;
    T scale_{1};
    Index outputs_ = 0;
    Index inputs_ = 0;
    Side side_ = Side::output;
  };
};

/// PMSS with rows chosen among the chosen columns.
template <Index Rank = dynamic>
using TwoStagePmss = Pmss<Rank, policies::TwoStagePivotedQr>;

static_assert(weight_adapter<Pmss<>>);

}  // namespace graft::adapters
