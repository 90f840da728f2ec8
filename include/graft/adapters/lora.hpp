// SPDX-License-Identifier: Apache-2.0
// Lora: y += s B A x with A(r,M) and B(N,r) trained. Hu et al., "LoRA", arXiv 2106.09685.
//
// B starts at zero, so that the update does. A start taken from the weight (pissa.hpp, olora.hpp) stays beside it, frozen,
// and the update is the difference: y += s (B A - B0 A0) x.
#pragma once

#include <graft/adapter.hpp>
#include <graft/adapters/masked_input.hpp>
#include <graft/adapters/policies/factors.hpp>
#include <graft/adapters/policies/initializer.hpp>
#include <graft/adapters/policies/scaling.hpp>

namespace graft::adapters {

/// Low-rank update of a linear map. Lora<8> fixes the rank in the type, Lora<>{.rank = 8} at run time.
template <Index Rank = dynamic, low_rank_start Start = policies::KaimingUniform,
          scaling Scale = policies::AlphaOverRank>
struct Lora {
  static constexpr std::string_view name = "lora";        ///< in files and messages
  static constexpr bool anchored = factorization<Start>;  ///< the start is not zero, and is taken away again

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
    if constexpr (anchored) {
      visit("start", policy_name<Start>());
    }
  }
  [[nodiscard]] double scale() const { return Scale::scale(alpha, rank); }  ///< s
  /// r (N + M) numbers in a map of N outputs and M inputs.
  [[nodiscard]] Index trained(const Place& place) const { return rank * (place.outputs + place.inputs); }

  /// One A and B. Costs r (N + M) multiply-adds a token forward, twice that where anchored; keeps z = A x, and reads x and
  /// dy for its gradients.
  template <scalar T>
  class Module {
   public:
    /// What one pass has in hand, for T rows of the map.
    struct Cache {
      Slab<T> z;             ///< (T,r) A x
      Slab<T> u;             ///< (T,r) s B' dy, of the rows in hand
      Slab<T> start;         ///< (T,r) A0 x, or s B0' dy, of the rows in hand
      MaskedInput<T> input;  ///< what A reads
      View<T> da, db;        ///< a row for each block: its share of dA and dB
    };

    Module() = default;
    /// A random and B zero, or both as the weight has them. No rank, or another than the type's, is adapter.601; more than
    /// the weight has is adapter.720.
    template <class B, class W>
    Module(const Lora& recipe, const B& be, const W& weight, const Place& place, Random random)
        : Module(recipe, place) {
      if constexpr (anchored) {
        const auto start = Start::factors(weight.view(), recipe.rank, recipe.scale(), random, place.name);
        be.copy(start.a.view(), a_.value);
        be.copy(start.b.view(), b_.value);
        be.copy(start.a.view(), start_.a.view());
        be.copy(start.b.view(), start_.b.view());
      } else {
        Start::fill(a_.value, random);
      }
    }
    /// Room for the numbers of a file.
    Module(const Lora& recipe, const Place& place)
        : a_(checked_rank(recipe, place), place.inputs),
          b_(place.outputs, recipe.rank),
          scale_(static_cast<real_type<T>>(recipe.scale())),
          dropout_(recipe.dropout) {
      if constexpr (anchored) {
        start_ = {Tensor<T>(recipe.rank, place.inputs), Tensor<T>(place.outputs, recipe.rank)};
      }
    }

    /// Calls visit(name, parameter) for A and B, by PEFT's names.
    template <class Visitor>
    void for_each_parameter(Visitor&& visit) {
      visit("lora_A.weight", a_);
      visit("lora_B.weight", b_);
    }
    [[nodiscard]] Parameter<T>& a() { return a_; }              ///< (r,M)
    [[nodiscard]] Parameter<T>& b() { return b_; }              ///< (N,r)
    [[nodiscard]] View<const T> a() const { return a_.value; }  ///< (r,M)
    [[nodiscard]] View<const T> b() const { return b_.value; }  ///< (N,r)
    /// Calls visit(name, view) for A0 and B0, which a file carries beside A and B.
    template <class Visitor>
      requires anchored
    void for_each_frozen(Visitor&& visit) {
      visit("start_A.weight", start_.a.view());
      visit("start_B.weight", start_.b.view());
    }
    [[nodiscard]] T scale() const { return scale_; }                   ///< s
    [[nodiscard]] bool needs_input() const { return true; }            ///< for dA = u' x
    [[nodiscard]] bool needs_output_gradient() const { return true; }  ///< for dB = s dy' z

    /// z, which lives until the backward.
    void lay_out_kept(Cache& cache, Arena& arena, const Extent& extent) const {
      cache.z = arena.slab<T>("adapter: A x", extent.keep, extent.rows, extent.lane_rows, r());
    }
    /// u, the shares of the gradients and, under dropout, a masked x.
    void lay_out_scratch(Cache& cache, Arena& arena, const Extent& extent) const {
      const Index blocks = extent.keep ? ceil_div(extent.rows, extent.lane_rows) : 0;
      cache.u = arena.slab<T>("adapter: gradients", false, 0, extent.keep ? extent.lane_rows : 0, r());
      cache.start = arena.slab<T>("adapter: frozen start", false, 0, anchored ? extent.lane_rows : 0, r());
      cache.input.lay_out(arena, extent, dropout_, a_.value.cols);
      cache.da = arena.take<T>("adapter: gradients", blocks, a_.value.size());
      cache.db = arena.take<T>("adapter: gradients", blocks, b_.value.size());
    }

    /// z = A x, of the masked x under dropout.
    template <class B>
    void read(const B& be, Cache& cache, Block block, In<T> x) const {
      be.gemm_nt(1, cache.input.of(be, block, x), a_.value, 0, cache.z.at(block));  // (T,M)(r,M)' -> (T,r)
      if constexpr (anchored) {
        be.gemm_nt(1, x, start_.a.view(), 0, cache.start.at(block));
      }
    }
    /// y += s B z, less s B0 A0 x.
    template <class B>
    void add(const B& be, Cache& cache, Block block, View<T> y) const {
      be.gemm_nt(scale_, cache.z.at(block), b_.value, 1, y);  // (T,r)(N,r)' -> (T,N)
      if constexpr (anchored) {
        be.gemm_nt(-scale_, cache.start.at(block), start_.b.view(), 1, y);
      }
    }

    /// u = s B' dy.
    template <class B>
    void add_vjp(const B& be, Cache& cache, Block block, In<T> dy) const {
      be.gemm_nn(scale_, dy, b_.value, 0, cache.u.at(block));  // (T,N)(N,r) -> (T,r)
      if constexpr (anchored) {
        be.gemm_nn(scale_, dy, start_.b.view(), 0, cache.start.at(block));
      }
    }
    /// dx += A' u, under the mask of read(), less s A0' B0' dy.
    template <class B>
    void read_vjp(const B& be, Cache& cache, Block block, View<T> dx) const {
      cache.input.pull(be, block, cache.u.at(block), a_.value, dx);  // (T,r)(r,M) -> (T,M)
      if constexpr (anchored) {
        be.gemm_nn(-1, cache.start.at(block), start_.a.view(), 1, dx);
      }
    }
    /// A block's share of dA = u' x and dB = s dy' z.
    template <class B>
    void block_gradients(const B& be, Cache& cache, BlockShare share, Block block, In<T> x, In<T> dy) {
      const View<T> da(cache.da.row(share.block), a_.value.rows, a_.value.cols);
      const View<T> db(cache.db.row(share.block), b_.value.rows, b_.value.cols);
      const T kept = share.first ? T{} : T{1};
      be.gemm_tn(1, cache.u.at(block), cache.input.of(be, block, x), kept, da);  // (T,r)'(T,M) -> (r,M)
      be.gemm_tn(scale_, dy, cache.z.at(block), kept, db);                       // (T,N)'(T,r) -> (N,r)
    }
    /// dA and dB += the shares of all blocks, in their order.
    template <class B>
    void gradients(const B& be, Cache& cache) {
      be.add_column_sums(1, cache.da, a_.gradient.view().reshape(1, a_.value.size()));
      be.add_column_sums(1, cache.db, b_.gradient.view().reshape(1, b_.value.size()));
    }

    /// into += s (B A - B0 A0): what attached computes, as a change of the weight.
    template <class B>
    void merge(const B& be, In<T>, View<T> into) const {
      be.gemm_nn(scale_, b_.value, a_.value, 1, into);  // (N,r)(r,M) -> (N,M)
      if constexpr (anchored) {
        be.gemm_nn(-scale_, start_.b.view(), start_.a.view(), 1, into);
      }
    }

   private:
    static Index checked_rank(const Lora& recipe, const Place& place) {
      if (recipe.rank < 1 || (Rank != dynamic && recipe.rank != Rank)) {
        fail("adapter.601",
             "LoRA needs a rank of at least 1, and Lora<R> the rank R; found " + std::to_string(recipe.rank),
             place.name);
      }
      return anchored ? policies::factor_rank(recipe.rank, place.outputs, place.inputs, place.name) : recipe.rank;
    }
    [[nodiscard]] Index r() const { return a_.value.rows; }

    Parameter<T> a_;
    Parameter<T> b_;
    Factors<T> start_;  // A0 and B0; empty where not anchored
    T scale_{1};
    double dropout_ = 0;
  };
};

/// LoRA with s = alpha / sqrt(r).
template <Index Rank = dynamic>
using RsLora = Lora<Rank, policies::KaimingUniform, policies::AlphaOverRootRank>;

static_assert(weight_adapter<Lora<>>);

}  // namespace graft::adapters
