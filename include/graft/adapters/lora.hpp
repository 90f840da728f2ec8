// SPDX-License-Identifier: Apache-2.0
// Lora: y += s B A x with A(r,M) random and B(N,r) zero at the start. Hu et al., "LoRA", arXiv 2106.09685.
#pragma once

#include <graft/adapter.hpp>
#include <graft/adapters/policies/initializer.hpp>
#include <graft/adapters/policies/scaling.hpp>

namespace graft::adapters {

/// Low-rank update of a linear map. Lora<8> fixes the rank in the type, Lora<>{.rank = 8} at run time.
template <Index Rank = dynamic, initializer Init = policies::KaimingUniform, scaling Scale = policies::AlphaOverRank>
struct Lora {
  static constexpr std::string_view name = "lora";  ///< in files and messages

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
  /// r (N + M) numbers in a map of N outputs and M inputs.
  [[nodiscard]] Index trained(const Place& place) const { return rank * (place.outputs + place.inputs); }

  /// One A and B. Costs r (N + M) multiply-adds a token forward; keeps z = A x, and reads x and dy for its gradients.
  template <scalar T>
  class Module {
   public:
    /// What one pass has in hand, for T rows of the map.
    struct Cache {
      Slab<T> z;           ///< (T,r) A x
      Slab<T> u;           ///< (T,r) s B' dy, of the rows in hand
      Slab<T> dropped;     ///< (T,M) x under the dropout mask, of the rows in hand
      View<T> da, db;      ///< a row for each block: its share of dA and dB
      Random dropout{0};   ///< masks of this pass
      bool drops = false;  ///< x is masked in this pass
    };

    Module() = default;
    /// A random, B zero; no rank, or another than the type's, is adapter.601.
    template <class B, class W>
    Module(const Lora& recipe, const B&, const W&, const Place& place, Random random)
        : a_(checked_rank(recipe, place), place.inputs),
          b_(place.outputs, recipe.rank),
          scale_(static_cast<real_type<T>>(Scale::scale(recipe.alpha, recipe.rank))),
          dropout_(recipe.dropout) {
      Init::fill(a_.value, random);
    }

    /// Calls visit(name, parameter) for A and B, by PEFT's names.
    template <class Visitor>
    void for_each_parameter(Visitor&& visit) {
      visit("lora_A.weight", a_);
      visit("lora_B.weight", b_);
    }
    [[nodiscard]] Parameter<T>& a() { return a_; }                     ///< (r,M)
    [[nodiscard]] Parameter<T>& b() { return b_; }                     ///< (N,r)
    [[nodiscard]] View<const T> a() const { return a_.value; }         ///< (r,M)
    [[nodiscard]] View<const T> b() const { return b_.value; }         ///< (N,r)
    [[nodiscard]] T scale() const { return scale_; }                   ///< s
    [[nodiscard]] bool needs_input() const { return true; }            ///< for dA = u' x
    [[nodiscard]] bool needs_output_gradient() const { return true; }  ///< for dB = s dy' z

    /// z, which lives until the backward.
    void lay_out_kept(Cache& cache, Arena& arena, const Extent& extent) const {
      cache.z = arena.slab<T>("adapter: A x", extent.keep, extent.rows, extent.lane_rows, a_.value.rows);
      cache.drops = extent.keep && dropout_ > 0;
      cache.dropout = extent.dropout;
    }
    /// u, the shares of the gradients and, under dropout, a masked x.
    void lay_out_scratch(Cache& cache, Arena& arena, const Extent& extent) const {
      const Index rows = extent.keep ? extent.lane_rows : 0;
      const Index blocks = extent.keep ? ceil_div(extent.rows, extent.lane_rows) : 0;
      cache.u = arena.slab<T>("adapter: gradients", false, 0, rows, a_.value.rows);
      cache.dropped = arena.slab<T>("adapter: dropped input", false, 0, cache.drops ? rows : 0, a_.value.cols);
      cache.da = arena.take<T>("adapter: gradients", blocks, a_.value.size());
      cache.db = arena.take<T>("adapter: gradients", blocks, b_.value.size());
    }

    /// z = A x, of the masked x under dropout.
    template <class B>
    void read(const B& be, Cache& cache, Block block, In<T> x) const {
      be.gemm_nt(1, masked(be, cache, block, x), a_.value, 0, cache.z.at(block));  // (T,M)(r,M)' -> (T,r)
    }
    /// y += s B z.
    template <class B>
    void add(const B& be, Cache& cache, Block block, View<T> y) const {
      be.gemm_nt(scale_, cache.z.at(block), b_.value, 1, y);  // (T,r)(N,r)' -> (T,N)
    }

    /// u = s B' dy.
    template <class B>
    void add_vjp(const B& be, Cache& cache, Block block, In<T> dy) const {
      be.gemm_nn(scale_, dy, b_.value, 0, cache.u.at(block));  // (T,N)(N,r) -> (T,r)
    }
    /// dx += A' u, under the mask of read().
    template <class B>
    void read_vjp(const B& be, Cache& cache, Block block, View<T> dx) const {
      if (!cache.drops) {
        be.gemm_nn(1, cache.u.at(block), a_.value, 1, dx);  // (T,r)(r,M) -> (T,M)
        return;
      }
      const View<T> pulled = cache.dropped.at(block);
      be.gemm_nn(1, cache.u.at(block), a_.value, 0, pulled);
      be.dropout(dropout_, cache.dropout, block.begin, pulled, pulled);
      be.add(1, pulled, dx);
    }
    /// A block's share of dA = u' x and dB = s dy' z.
    template <class B>
    void block_gradients(const B& be, Cache& cache, BlockShare share, Block block, In<T> x, In<T> dy) {
      const View<T> da(cache.da.row(share.block), a_.value.rows, a_.value.cols);
      const View<T> db(cache.db.row(share.block), b_.value.rows, b_.value.cols);
      const T kept = share.first ? T{} : T{1};
      be.gemm_tn(1, cache.u.at(block), masked(be, cache, block, x), kept, da);  // (T,r)'(T,M) -> (r,M)
      be.gemm_tn(scale_, dy, cache.z.at(block), kept, db);                      // (T,N)'(T,r) -> (N,r)
    }
    /// dA and dB += the shares of all blocks, in their order.
    template <class B>
    void gradients(const B& be, Cache& cache) {
      be.add_column_sums(1, cache.da, a_.gradient.view().reshape(1, a_.value.size()));
      be.add_column_sums(1, cache.db, b_.gradient.view().reshape(1, b_.value.size()));
    }

    /// into += s B A: what attached computes, as a change of the weight.
    template <class B>
    void merge(const B& be, In<T>, View<T> into) const {
      be.gemm_nn(scale_, b_.value, a_.value, 1, into);  // (N,r)(r,M) -> (N,M)
    }

   private:
    static Index checked_rank(const Lora& recipe, const Place& place) {
      if (recipe.rank < 1 || (Rank != dynamic && recipe.rank != Rank)) {
        fail("adapter.601",
             "LoRA needs a rank of at least 1, and Lora<R> the rank R; found " + std::to_string(recipe.rank),
             place.name);
      }
      return recipe.rank;
    }
    template <class B>
    View<const T> masked(const B& be, Cache& cache, Block block, In<T> x) const {
      if (!cache.drops) {
        return x;
      }
      be.dropout(dropout_, cache.dropout, block.begin, x, cache.dropped.at(block));
      return cache.dropped.at(block);
    }

    Parameter<T> a_;
    Parameter<T> b_;
    T scale_{1};
    double dropout_ = 0;
  };
};

/// LoRA with s = alpha / sqrt(r).
template <Index Rank = dynamic>
using RsLora = Lora<Rank, policies::KaimingUniform, policies::AlphaOverRootRank>;

static_assert(weight_adapter<Lora<>>);

}  // namespace graft::adapters
