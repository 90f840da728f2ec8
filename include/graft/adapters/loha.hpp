// SPDX-License-Identifier: Apache-2.0
// Loha: W = W0 + s (A1 B1) o (A2 B2), an update of rank up to r r from four factors of rank r.
// Hyeon-Woo et al., "FedPara", arXiv 2108.06098; as an adapter: Yeh et al., "LyCORIS", arXiv 2309.14859.
#pragma once

#include <graft/adapter.hpp>
#include <graft/adapters/policies/initializer.hpp>
#include <graft/adapters/policies/scaling.hpp>

namespace graft::adapters {

/// Hadamard product of two low-rank products. It is itself one of rank r r, B A with
///
///   A[(i,j), :] = B1[i, :] o B2[j, :]    (rr,M)          dB1[i, :] = sum over j of dA[(i,j), :] o B2[j, :], ...
///   B[:, (i,j)] = A1[:, i] o A2[:, j]    (N,rr)          dA1[:, i] = sum over j of dB[:, (i,j)] o A2[:, j], ...
///
/// so y += s B A x runs as LoRA's does: r r (N + M) a token against N M for a dense update, and no N x M matrix exists. That
/// is the smaller as long as r r is below half the width, rank 45 at 4096; PEFT's default is rank 8.
template <Index Rank = dynamic, scaling Scale = policies::AlphaOverRank>
struct Loha {
  static constexpr std::string_view name = "loha";  ///< in files and messages

  Index rank = Rank == dynamic ? 8 : Rank;  ///< r
  double alpha = 8;                         ///< of the scaling

  /// Calls visit(name, value) for the settings that a file holds.
  template <class Visitor>
  void for_each_setting(Visitor&& visit) {
    visit("rank", rank);
    visit("alpha", alpha);
  }
  /// The policies on which the meaning of stored numbers depends.
  template <class Visitor>
  static void for_each_policy(Visitor&& visit) {
    visit("scaling", policy_name<Scale>());
  }
  /// 2 r (N + M) numbers in a map of N outputs and M inputs.
  [[nodiscard]] Index trained(const Place& place) const { return 2 * rank * (place.outputs + place.inputs); }

  /// Four factors. Costs r r (N + M) multiply-adds a token forward; keeps z = A x, r r numbers of it.
  template <scalar T>
  class Module {
   public:
    /// What one pass has in hand, for T rows of the map.
    struct Cache {
      View<T> a, b;    ///< (rr,M) and (N,rr)
      View<T> da, db;  ///< their gradients
      Slab<T> z;       ///< (T,rr) A x
      Slab<T> u;       ///< (T,rr) s B' dy
    };

    Module() = default;
    /// A1, B1 and A2 random, B2 zero; no rank, or another than the type's, is adapter.700.
    template <class B, class W>
    Module(const Loha& recipe, const B&, const W&, const Place& place, Random random)
        : a1_(place.outputs, checked_rank(recipe, place)),
          b1_(recipe.rank, place.inputs),
          a2_(place.outputs, recipe.rank),
          b2_(recipe.rank, place.inputs),
          scale_(static_cast<real_type<T>>(Scale::scale(recipe.alpha, recipe.rank))) {
      policies::KaimingUniform::fill(a1_.value, random.child(0));
      policies::KaimingUniform::fill(b1_.value, random.child(1));
      policies::KaimingUniform::fill(a2_.value, random.child(2));
    }

    /// Calls visit(name, parameter) for A1, B1, A2 and B2, by PEFT's names.
    template <class Visitor>
    void for_each_parameter(Visitor&& visit) {
      visit("hada_w1_a", a1_);
      visit("hada_w1_b", b1_);
      visit("hada_w2_a", a2_);
      visit("hada_w2_b", b2_);
    }
    [[nodiscard]] T scale() const { return scale_; }                   ///< s
    [[nodiscard]] bool needs_input() const { return true; }            ///< for dA = u' x
    [[nodiscard]] bool needs_output_gradient() const { return true; }  ///< for dB = s dy' z

    /// z, which lives until the backward.
    void lay_out_kept(Cache& cache, Arena& arena, const Extent& extent) const {
      cache.z = arena.slab<T>("adapter: A x", extent.keep, extent.rows, extent.lane_rows, r() * r());
    }
    /// A and B, and their gradients with u, which the layer gives back.
    void lay_out_scratch(Cache& cache, Arena& arena, const Extent& extent) const {
      const Index back = extent.keep ? 1 : 0;
      cache.a = arena.take<T>("adapter: factors", r() * r(), b1_.value.cols);
      cache.b = arena.take<T>("adapter: factors", a1_.value.rows, r() * r());
      cache.da = arena.take<T>("adapter: gradients", back * r() * r(), b1_.value.cols);
      cache.db = arena.take<T>("adapter: gradients", back * a1_.value.rows, r() * r());
      cache.u = arena.slab<T>("adapter: gradients", true, back * extent.rows, 0, r() * r());
    }
    /// Multiplies the factors out to A and B for the segments that follow.
    template <class B, class W>
    void prepare(const B& be, Cache& cache, const W&) const {
      multiply_out(be, cache.a, cache.b);
    }

    /// z = A x.
    template <class B>
    void read(const B& be, Cache& cache, Block block, In<T> x) const {
      be.gemm_nt(1, x, cache.a, 0, cache.z.at(block));  // (T,M)(rr,M)' -> (T,rr)
    }
    /// y += s B z.
    template <class B>
    void add(const B& be, Cache& cache, Block block, View<T> y) const {
      be.gemm_nt(scale_, cache.z.at(block), cache.b, 1, y);  // (T,rr)(N,rr)' -> (T,N)
    }

    /// u = s B' dy.
    template <class B>
    void add_vjp(const B& be, Cache& cache, Block block, In<T> dy) const {
      be.gemm_nn(scale_, dy, cache.b, 0, cache.u.at(block));  // (T,N)(N,rr) -> (T,rr)
    }
    /// dx += A' u.
    template <class B>
    void read_vjp(const B& be, Cache& cache, Block block, View<T> dx) const {
      be.gemm_nn(1, cache.u.at(block), cache.a, 1, dx);  // (T,rr)(rr,M) -> (T,M)
    }
    /// dA = u' x and dB = s dy' z over the rows of one run, and from them the four gradients. They are as large as a block
    /// of x and dy, so there are no shares of blocks.
    template <class B>
    void gradients(const B& be, Cache& cache, RowRange run, In<T> x, In<T> dy) {
      be.gemm_tn(1, cache.u.wide().middle_rows(run.begin, run.rows), x, 0, cache.da);        // -> (rr,M)
      be.gemm_tn(scale_, dy, cache.z.wide().middle_rows(run.begin, run.rows), 0, cache.db);  // -> (N,rr)
      for (Index i = 0; i < r(); ++i) {
        const View<T> da = cache.da.middle_rows(i * r(), r());  // of rows b1[i] o b2[j]
        const View<T> db = cache.db.middle_cols(i * r(), r());  // of columns a1[i] o a2[j]
        be.add_column_dots(da, b2_.value, b1_.gradient.view().middle_rows(i, 1));
        be.add_row_dots(db, a2_.value, a1_.gradient.view().middle_cols(i, 1));
        be.multiply_rows(a1_.value.middle_cols(i, 1), db, 1, a2_.gradient.view());
        const View<T> across(cache.da.row(i), r(), cache.da.cols, r() * cache.da.stride);  // rows b1[j] o b2[i]
        be.add_column_dots(across, b1_.value, b2_.gradient.view().middle_rows(i, 1));
      }
    }

    /// into += s (A1 B1) o (A2 B2).
    template <class B>
    void merge(const B& be, In<T> base, View<T> into) const {
      Tensor<T> a(r() * r(), base.cols);
      Tensor<T> b(base.rows, r() * r());
      multiply_out(be, a.view(), b.view());
      be.gemm_nn(scale_, b.view(), a.view(), 1, into);  // (N,rr)(rr,M) -> (N,M)
    }

   private:
    [[nodiscard]] Index r() const { return a1_.value.cols; }

    static Index checked_rank(const Loha& recipe, const Place& place) {
      if (recipe.rank < 1 || (Rank != dynamic && recipe.rank != Rank)) {
        fail("adapter.700",
             "LoHa needs a rank of at least 1, and Loha<R> the rank R; found " + std::to_string(recipe.rank),
             place.name);
      }
      return recipe.rank;
    }
    /// a(rr,M): rows b1[i] o b2[j]; b(N,rr): columns a1[i] o a2[j].
    template <class B>
    void multiply_out(const B& be, View<T> a, View<T> b) const {
      for (Index i = 0; i < r(); ++i) {
        be.multiply_columns(b1_.value.middle_rows(i, 1), b2_.value, a.middle_rows(i * r(), r()));
        be.multiply_rows(a1_.value.middle_cols(i, 1), a2_.value, 0, b.middle_cols(i * r(), r()));
      }
    }

    Parameter<T> a1_, b1_, a2_, b2_;
    T scale_{1};
  };
};

static_assert(weight_adapter<Loha<>>);

}  // namespace graft::adapters
