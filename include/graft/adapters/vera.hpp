// SPDX-License-Identifier: Apache-2.0
// Vera: y += b o (B (d o A x)) with only the vectors b(N) and d(r) trained; A and B are random, frozen, and the same for all
// modules. Kopiczko, Blankevoort & Asano, "VeRA", arXiv 2310.11454.
#pragma once

#include <cmath>    // sqrt
#include <memory>   // shared_ptr
#include <utility>  // move

#include <graft/adapter.hpp>
#include <graft/adapters/masked_input.hpp>
#include <graft/adapters/policies/factors.hpp>
#include <graft/adapters/policies/initializer.hpp>

namespace graft::adapters {

/// Two vectors a module over one pair of random matrices. A module of N outputs and M inputs reads the first M columns of
/// A(r,widest input) and the first N rows of B(widest output,r).
///
///   z = A x,  t = B (d o z),  y = W x + b o t        u = B' (b o dy),  db = t o dy,  dd = z o u,  dx = W' dy + A' (d o u)
template <Index Rank = dynamic>
struct Vera {
  static constexpr std::string_view name = "vera";  ///< in files and messages
  static constexpr Index carried = -1;              ///< a projection_seed: a file brings A and B

  Index rank = Rank == dynamic ? 256 : Rank;  ///< r
  double start = 0.1;                         ///< of every d; b starts at zero
  double dropout = 0;                         ///< on the input of A, in training
  Index projection_seed = 0;                  ///< of A and B, which are functions of it and of their shapes; or carried

  /// Calls visit(name, value) for the settings that a file holds.
  template <class Visitor>
  void for_each_setting(Visitor&& visit) {
    visit("rank", rank);
    visit("start", start);
    visit("dropout", dropout);
    visit("projection_seed", projection_seed);
  }
  /// N + r numbers in a map of N outputs.
  [[nodiscard]] Index trained(const Place& place) const { return place.outputs + rank; }

  /// One b and d. Costs r (N + M) multiply-adds a token forward; keeps z, r numbers of it, and reads dy for its gradients.
  template <scalar T>
  class Module {
   public:
    /// A and B, of which all modules hold the same.
    using Shared = Factors<T>;
    /// What one pass has in hand, for T rows of the map.
    struct Cache {
      Slab<T> z;             ///< (T,r) A x
      Slab<T> u;             ///< (T,r) B' (b o dy), of the rows in hand
      Slab<T> turned;        ///< (T,r) d o z, or d o u, of the rows in hand
      Slab<T> wide;          ///< (T,N) B (d o z), or b o dy, of the rows in hand
      MaskedInput<T> input;  ///< what A reads
      View<T> db, dd;        ///< a row for each block: its share of db and dd
    };

    Module() = default;
    /// b zero and d at the recipe's start; nothing is drawn. No rank, or another than the type's, is adapter.721.
    template <class B, class W>
    Module(const Vera& recipe, const B&, const W&, const Place& place, Random) : Module(recipe, place) {}
    /// The same, from the shape alone.
    Module(const Vera& recipe, const Place& place)
        : b_(1, place.outputs),
          d_(1, checked_rank(recipe, place)),
          inputs_(place.inputs),
          dropout_(recipe.dropout),
          carried_(recipe.projection_seed == carried) {
      for (Index k = 0; k < recipe.rank; ++k) {
        d_.value(0, k) = T(static_cast<real_type<T>>(recipe.start));
      }
    }

    /// A and B for modules of at most that many outputs and inputs: uniform in +-sqrt(6 / columns), as PEFT draws them.
    /// Where they are carried there is nothing to draw from, which is adapter.782.
    [[nodiscard]] static Shared shared(const Vera& recipe, Index outputs, Index inputs) {
      if (recipe.projection_seed == carried) {
        fail("adapter.782",
             "VeRA with projection_seed -1 takes its projections from a file; to draw them, give a seed");
      }
      const Random random(static_cast<std::uint64_t>(recipe.projection_seed));
      Shared pair{Tensor<T>(recipe.rank, inputs), Tensor<T>(outputs, recipe.rank)};
      policies::KaimingUniform::fill(pair.a.view(), random.child(0));
      policies::KaimingUniform::fill(pair.b.view(), random.child(1));
      const T gain(static_cast<real_type<T>>(std::sqrt(6.0)));
      ops::scale(gain, pair.a.view());
      ops::scale(gain, pair.b.view());
      return pair;
    }
    /// Takes its share of A and B, made by shared() or read from a file; where they are too small or of another rank,
    /// that is adapter.722.
    void share(std::shared_ptr<const Shared> pair, const std::string& module = {}) {
      if (pair->a.rows() != r() || pair->b.cols() != r() || pair->a.cols() < inputs_ || pair->b.rows() < outputs()) {
        fail("adapter.722",
             "VeRA expected A(" + std::to_string(r()) + ", at least " + std::to_string(inputs_) + ") and B(at least " +
                 std::to_string(outputs()) + ", " + std::to_string(r()) + "), found A(" +
                 std::to_string(pair->a.rows()) + ", " + std::to_string(pair->a.cols()) + ") and B(" +
                 std::to_string(pair->b.rows()) + ", " + std::to_string(pair->b.cols()) + ")",
             module);
      }
      pair_ = std::move(pair);
    }
    /// A and B from a file that carries them, by read(name).
    template <class Read>
    [[nodiscard]] static Shared shared_from(const Read& read) {
      return {read("vera_A"), read("vera_B")};
    }
    /// Calls visit(name, view) for A and B where a file must carry them: no seed gives them again.
    template <class Visitor>
    void for_each_shared(Visitor&& visit) const {
      if (carried_) {
        visit("vera_A", pair_->a.view());
        visit("vera_B", pair_->b.view());
      }
    }
    /// What share() was given.
    [[nodiscard]] const std::shared_ptr<const Shared>& shared() const { return pair_; }

    /// Calls visit(name, parameter) for b and d, by PEFT's names.
    template <class Visitor>
    void for_each_parameter(Visitor&& visit) {
      visit("vera_lambda_b", b_);
      visit("vera_lambda_d", d_);
    }
    [[nodiscard]] bool needs_input() const { return false; }           ///< z is enough
    [[nodiscard]] bool needs_output_gradient() const { return true; }  ///< for db = t o dy

    /// z, which lives until the backward.
    void lay_out_kept(Cache& cache, Arena& arena, const Extent& extent) const {
      cache.z = arena.slab<T>("adapter: A x", extent.keep, extent.rows, extent.lane_rows, r());
    }
    /// The rows in hand and the shares of the gradients.
    void lay_out_scratch(Cache& cache, Arena& arena, const Extent& extent) const {
      const Index blocks = extent.keep ? ceil_div(extent.rows, extent.lane_rows) : 0;
      cache.u = arena.slab<T>("adapter: gradients", false, 0, extent.keep ? extent.lane_rows : 0, r());
      cache.turned = arena.slab<T>("adapter: small", false, 0, extent.lane_rows, r());
      cache.wide = arena.slab<T>("adapter: output in hand", false, 0, extent.lane_rows, outputs());
      cache.input.lay_out(arena, extent, dropout_, inputs_);
      cache.db = arena.take<T>("adapter: gradients", blocks, outputs());
      cache.dd = arena.take<T>("adapter: gradients", blocks, r());
    }

    /// z = A x, of the masked x under dropout.
    template <class B>
    void read(const B& be, Cache& cache, Block block, In<T> x) const {
      be.gemm_nt(1, cache.input.of(be, block, x), a(), 0, cache.z.at(block));  // (T,M)(r,M)' -> (T,r)
    }
    /// y += b o t.
    template <class B>
    void add(const B& be, Cache& cache, Block block, View<T> y) const {
      const View<T> t = product(be, cache, block);
      be.multiply_columns(b_.value, t, t);
      be.add(1, t, y);
    }

    /// u = B' (b o dy).
    template <class B>
    void add_vjp(const B& be, Cache& cache, Block block, In<T> dy) const {
      be.multiply_columns(b_.value, dy, cache.wide.at(block));
      be.gemm_nn(1, cache.wide.at(block), b(), 0, cache.u.at(block));  // (T,N)(N,r) -> (T,r)
    }
    /// dx += A' (d o u), under the mask of read().
    template <class B>
    void read_vjp(const B& be, Cache& cache, Block block, View<T> dx) const {
      be.multiply_columns(d_.value, cache.u.at(block), cache.turned.at(block));
      cache.input.pull(be, block, cache.turned.at(block), a(), dx);  // (T,r)(r,M) -> (T,M)
    }
    /// A block's share of db = t o dy, with t made again, and of dd = z o u.
    template <class B>
    void block_gradients(const B& be, Cache& cache, BlockShare share, Block block, In<T>, In<T> dy) {
      const View<T> db = cache.db.middle_rows(share.block, 1);
      const View<T> dd = cache.dd.middle_rows(share.block, 1);
      if (share.first) {
        be.fill(0, db);
        be.fill(0, dd);
      }
      be.add_column_dots(product(be, cache, block), dy, db);
      be.add_column_dots(cache.z.at(block), cache.u.at(block), dd);
    }
    /// db and dd += the shares of all blocks, in their order.
    template <class B>
    void gradients(const B& be, Cache& cache) {
      be.add_column_sums(1, cache.db, b_.gradient.view());
      be.add_column_sums(1, cache.dd, d_.gradient.view());
    }

    /// into += diag(b) B diag(d) A: what attached computes, as a change of the weight.
    template <class B>
    void merge(const B& be, In<T>, View<T> into) const {
      Tensor<T> left(outputs(), r());
      for (Index i = 0; i < left.rows(); ++i) {
        for (Index k = 0; k < left.cols(); ++k) {
          left(i, k) = b_.value(0, i) * b()(i, k) * d_.value(0, k);
        }
      }
      be.gemm_nn(1, left.view(), a(), 1, into);  // (N,r)(r,M) -> (N,M)
    }

   private:
    static Index checked_rank(const Vera& recipe, const Place& place) {
      if (recipe.rank < 1 || (Rank != dynamic && recipe.rank != Rank)) {
        fail("adapter.721",
             "VeRA needs a rank of at least 1, and Vera<R> the rank R; found " + std::to_string(recipe.rank),
             place.name);
      }
      return recipe.rank;
    }
    [[nodiscard]] Index r() const { return d_.value.cols; }
    [[nodiscard]] Index outputs() const { return b_.value.cols; }
    [[nodiscard]] View<const T> a() const { return pair_->a.view().middle_cols(0, inputs_); }
    [[nodiscard]] View<const T> b() const { return pair_->b.view().middle_rows(0, outputs()); }

    /// t = B (d o z).
    template <class B>
    View<T> product(const B& be, Cache& cache, Block block) const {
      be.multiply_columns(d_.value, cache.z.at(block), cache.turned.at(block));
      be.gemm_nt(1, cache.turned.at(block), b(), 0, cache.wide.at(block));  // (T,r)(N,r)' -> (T,N)
      return cache.wide.at(block);
    }

    std::shared_ptr<const Shared> pair_;
    Parameter<T> b_;
    Parameter<T> d_;
    Index inputs_ = 0;
    double dropout_ = 0;
    bool carried_ = false;
  };
};

static_assert(weight_adapter<Vera<>>);

}  // namespace graft::adapters
