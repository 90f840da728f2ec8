// SPDX-License-Identifier: Apache-2.0
// LoraXs: y += s B R A x with only R(r,r) trained, between A(r,M) and B(N,r) that are frozen singular directions of the
// weight. Balazy et al., "LoRA-XS", arXiv 2405.17604.
#pragma once

#include <graft/adapter.hpp>
#include <graft/adapters/masked_input.hpp>
#include <graft/adapters/policies/factors.hpp>
#include <graft/adapters/policies/scaling.hpp>
#include <graft/adapters/policies/singular.hpp>

namespace graft::adapters {

/// A trained core between frozen outer factors, wherever they come from.
///
///   z = A x,  y = W x + s B R z          u = s B' dy,  dR = u z',  dx = W' dy + A' R' u
template <Index Rank = dynamic, factorization Outer = policies::SingularDirections,
          scaling Scale = policies::AlphaOverRank>
struct LowRankCore {
  static constexpr std::string_view name = "lora_xs";  ///< in files and messages
  static constexpr double start_spread = 1e-5;         ///< standard deviation of R at the start, as in the paper

  Index rank = Rank == dynamic ? 64 : Rank;  ///< r
  double alpha = 0;                          ///< of the scaling; 0 = the rank, so that s = 1
  double dropout = 0;                        ///< on the input of A, in training

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
    visit("outer", policy_name<Outer>());
    visit("scaling", policy_name<Scale>());
  }
  /// s, of the rank itself where no alpha is given.
  [[nodiscard]] double scale() const { return Scale::scale(alpha != 0 ? alpha : static_cast<double>(rank), rank); }
  /// r r numbers, whatever the size of the map.
  [[nodiscard]] Index trained(const Place&) const { return rank * rank; }

  /// One R with its frozen A and B. Costs r (N + M + r) multiply-adds a token forward; keeps z, r numbers of it, and reads
  /// neither x nor dy for its gradient.
  template <scalar T>
  class Module {
   public:
    /// What one pass has in hand, for T rows of the map.
    struct Cache {
      Slab<T> z;             ///< (T,r) A x
      Slab<T> u;             ///< (T,r) s B' dy, of the rows in hand
      Slab<T> turned;        ///< (T,r) R z, or R' u, of the rows in hand
      MaskedInput<T> input;  ///< what A reads
      View<T> dr;            ///< a row for each block: its share of dR
    };

    Module() = default;
    /// A and B from the weight, R normal with standard deviation 1e-5. Another rank than the type has is adapter.721; none, or
    /// more than the weight has, adapter.720.
    template <class B, class W>
    Module(const LowRankCore& recipe, const B& be, const W& weight, const Place& place, Random random)
        : Module(recipe, place) {
      const Factors<double> outer =
          Outer::factors(weight.view(), recipe.rank, recipe.scale(), random.child(0), place.name);
      be.copy(outer.a.view(), a_.view());
      be.copy(outer.b.view(), b_.view());
      for (Index i = 0; i < core_.size(); ++i) {
        const double draw = start_spread * random.normal(static_cast<std::uint64_t>(i));
        core_.value(i / recipe.rank, i % recipe.rank) = T(static_cast<real_type<T>>(draw));
      }
    }
    /// Room for the numbers of a file.
    Module(const LowRankCore& recipe, const Place& place)
        : a_(checked_rank(recipe, place), place.inputs),
          b_(place.outputs, recipe.rank),
          core_(recipe.rank, recipe.rank),
          scale_(static_cast<real_type<T>>(recipe.scale())),
          dropout_(recipe.dropout) {}

    /// Calls visit(name, parameter) for R, by the name that the paper's code gives it.
    template <class Visitor>
    void for_each_parameter(Visitor&& visit) {
      visit("lora_latent_mapping.weight", core_);
    }
    /// Calls visit(name, view) for A and B, which a file carries: their signs are arbitrary, and R depends on them.
    template <class Visitor>
    void for_each_frozen(Visitor&& visit) {
      visit("lora_A.weight", a_.view());
      visit("lora_B.weight", b_.view());
    }
    [[nodiscard]] T scale() const { return scale_; }                    ///< s
    [[nodiscard]] bool needs_input() const { return false; }            ///< z is enough
    [[nodiscard]] bool needs_output_gradient() const { return false; }  ///< u is enough

    /// z, which lives until the backward.
    void lay_out_kept(Cache& cache, Arena& arena, const Extent& extent) const {
      cache.z = arena.slab<T>("adapter: A x", extent.keep, extent.rows, extent.lane_rows, r());
    }
    /// u, R z, the shares of dR and, under dropout, a masked x.
    void lay_out_scratch(Cache& cache, Arena& arena, const Extent& extent) const {
      const Index blocks = extent.keep ? ceil_div(extent.rows, extent.lane_rows) : 0;
      cache.u = arena.slab<T>("adapter: gradients", false, 0, extent.keep ? extent.lane_rows : 0, r());
      cache.turned = arena.slab<T>("adapter: small", false, 0, extent.lane_rows, r());
      cache.input.lay_out(arena, extent, dropout_, a_.cols());
      cache.dr = arena.take<T>("adapter: gradients", blocks, core_.size());
    }

    /// z = A x, of the masked x under dropout.
    template <class B>
    void read(const B& be, Cache& cache, Block block, In<T> x) const {
      be.gemm_nt(1, cache.input.of(be, block, x), a_.view(), 0, cache.z.at(block));  // (T,M)(r,M)' -> (T,r)
    }
    /// y += s B R z.
    template <class B>
    void add(const B& be, Cache& cache, Block block, View<T> y) const {
      be.gemm_nt(1, cache.z.at(block), core_.value, 0, cache.turned.at(block));  // (T,r)(r,r)' -> (T,r)
      be.gemm_nt(scale_, cache.turned.at(block), b_.view(), 1, y);               // (T,r)(N,r)' -> (T,N)
    }

    /// u = s B' dy.
    template <class B>
    void add_vjp(const B& be, Cache& cache, Block block, In<T> dy) const {
      be.gemm_nn(scale_, dy, b_.view(), 0, cache.u.at(block));  // (T,N)(N,r) -> (T,r)
    }
    /// dx += A' R' u, under the mask of read().
    template <class B>
    void read_vjp(const B& be, Cache& cache, Block block, View<T> dx) const {
      be.gemm_nn(1, cache.u.at(block), core_.value, 0, cache.turned.at(block));  // (T,r)(r,r) -> (T,r)
      cache.input.pull(be, block, cache.turned.at(block), a_.view(), dx);        // (T,r)(r,M) -> (T,M)
    }
    /// A block's share of dR = u z'.
    template <class B>
    void block_gradients(const B& be, Cache& cache, BlockShare share, Block block, In<T>, In<T>) {
      const View<T> dr(cache.dr.row(share.block), r(), r());
      be.gemm_tn(1, cache.u.at(block), cache.z.at(block), share.first ? T{} : T{1}, dr);  // (T,r)'(T,r) -> (r,r)
    }
    /// dR += the shares of all blocks, in their order.
    template <class B>
    void gradients(const B& be, Cache& cache) {
      be.add_column_sums(1, cache.dr, core_.gradient.view().reshape(1, core_.size()));
    }

    /// into += s B R A: what attached computes, as a change of the weight.
    template <class B>
    void merge(const B& be, In<T>, View<T> into) const {
      Tensor<T> left(b_.rows(), r());
      be.gemm_nn(1, b_.view(), core_.value, 0, left.view());  // (N,r)(r,r) -> (N,r)
      be.gemm_nn(scale_, left.view(), a_.view(), 1, into);    // (N,r)(r,M) -> (N,M)
    }

   private:
    static Index checked_rank(const LowRankCore& recipe, const Place& place) {
      if (Rank != dynamic && recipe.rank != Rank) {
        fail("adapter.721", "the type says rank " + std::to_string(Rank) + "; found " + std::to_string(recipe.rank),
             place.name);
      }
      return policies::factor_rank(recipe.rank, place.outputs, place.inputs, place.name);
    }
    [[nodiscard]] Index r() const { return core_.value.rows; }

    Tensor<T> a_;
    Tensor<T> b_;
    Parameter<T> core_;
    T scale_{1};
    double dropout_ = 0;
  };
};

/// r r trained numbers between the singular directions of the weight.
template <Index Rank = dynamic>
using LoraXs = LowRankCore<Rank, policies::SingularDirections>;

static_assert(weight_adapter<LoraXs<>>);

}  // namespace graft::adapters
