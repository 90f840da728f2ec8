// SPDX-License-Identifier: Apache-2.0
// Subspace: h <- h + R'(W h + b - R h) on chosen rows of a stream; the bracketed terms are policies, so a paper's variant
// is an alias. "ReFT: Representation Finetuning for Language Models", arXiv 2404.03592, section 3.2 and appendix.
#pragma once

#include <cmath>

#include <graft/adapter.hpp>
#include <graft/adapters/policies/basis.hpp>
#include <graft/adapters/policies/subspace.hpp>

namespace graft::adapters {

/// Rank-r edit of hidden rows h(E,d). With e = source - [R h] and the upstream gradient D, t = D R':
///
///   h' = h + e R,   dh = D + [t W] - [t R],   dW = t'h,   db = sum t,   dR = e'D - [t'h],   [db2 = -sum t].
///
/// A sequence that carries some rows S of R only (Ragged::subspace) has e and t zero in the other columns: SubLoReFT,
/// h' = h + R_S'(W h + b - R h)_S. The edits of a partition of the rows add up to the edit of all.
///
/// With an activated source f(u), u = W h + b, the W and b terms have t o f'(u) in place of t.
template <Index Rank = dynamic, basis Basis = policies::Orthonormal, class Source = policies::Affine,
          class Form = policies::Difference, class Start = policies::IdentityStart>
struct Subspace {
  static constexpr std::string_view name = "subspace";  ///< in files and messages

  /// Whether the source is bent by f, and whether b2 exists. @{
  static constexpr bool is_activated = requires { Source::activation; };
  static constexpr bool is_biased = requires { Form::has_bias; };
  /// @}

  Index rank = Rank == dynamic ? 4 : Rank;  ///< r
  double dropout = 0;                       ///< on the whole edited row, as pyreft has it

  /// Calls visit(name, value) for the settings that a file holds.
  template <class Visitor>
  void for_each_setting(Visitor&& visit) {
    visit("rank", rank);
    visit("dropout", dropout);
  }
  /// The policies on which the meaning of stored numbers depends.
  template <class Visitor>
  static void for_each_policy(Visitor&& visit) {
    visit("basis", policy_name<Basis>());
    visit("source", policy_name<Source>());
    visit("form", policy_name<Form>());
  }
  /// 2 d r + r numbers, or d r + r where the source does not read h; r more with b2. R counts in full, as the papers count it.
  [[nodiscard]] Index trained(const Place& place) const {
    return (Source::reads_hidden ? 2 : 1) * place.outputs * rank + (is_biased ? 2 : 1) * rank;
  }

  /// One R, W and b. Costs 3 d r multiply-adds an edited row, keeps that row where the edit reads it (LobiReFT does not);
  /// nothing of size d x d exists.
  template <scalar T>
  class Module {
   public:
    /// What one pass has in hand, for the E rows that it edits.
    struct Cache {
      Slab<T> h;                                 ///< (E,d) before the edit
      Slab<T> e;                                 ///< (E,r) source - R h
      Slab<T> u;                                 ///< (E,r) W h + b under an activation, then the gradient of it
      Slab<T> delta;                             ///< (E,d) upstream gradient
      Slab<T> t;                                 ///< (E,r) its image under R
      Random dropout{0};                         ///< masks of this pass
      std::span<const std::uint64_t> subspaces;  ///< rows of R for each edited row, where not all
      bool keeps = false;                        ///< a backward follows
    };

    Module() = default;
    /// Starts as the policies say; a rank outside 1 .. width is adapter.620.
    template <class B>
    Module(const Subspace& recipe, const B& be, const Place& place, Random random)
        : b_(1, checked_rank(recipe, place)), dropout_(recipe.dropout) {
      const Index d = place.outputs;
      r_ = chart_.start(recipe.rank, d, random.child(0));
      if constexpr (Source::reads_hidden) {
        w_ = Parameter<T>(recipe.rank, d);
      }
      if constexpr (is_biased) {
        b2_ = Parameter<T>(1, recipe.rank);
      }
      if constexpr (!Start::is_identity || is_activated) {
        start_random(d, random.child(1));
      } else if constexpr (Source::reads_hidden && Form::subtracts) {
        be.copy(chart_.rows(r_), w_.value);
      }
    }

    /// Calls visit(name, parameter) for R, W where the source reads h, b, and b2 where there is one.
    template <class Visitor>
    void for_each_parameter(Visitor&& visit) {
      visit("R", r_);
      if constexpr (Source::reads_hidden) {
        visit("W", w_);
      }
      visit("b", b_);
      if constexpr (is_biased) {
        visit("b2", b2_);
      }
    }
    /// R itself, whatever the chart trains.
    [[nodiscard]] View<const T> basis() const { return chart_.rows(r_); }
    /// Continues from a given R (r,d), as a file holds it.
    template <class B>
    void set_basis(const B& be, In<T> rows) {
      chart_.adopt(be, r_, rows);
    }
    /// Brings R back to where it lives, after an optimizer's step.
    template <class B>
    void after_step(const B& be) {
      chart_.retract(be, r_);
    }

    /// h, e and u, which live until the backward. A subspace names rows of R among the first 64: more are adapter.743.
    void lay_out_kept(Cache& cache, Arena& arena, const Extent& extent) const {
      if (!extent.subspaces.empty() && r() > 64) {
        fail("adapter.743",
             "sequences carry subspaces of R, which name its rows by 64 bits; found rank " + std::to_string(r()));
      }
      cache.subspaces = extent.subspaces;
      cache.keeps = extent.keep;
      cache.dropout = extent.dropout;
      cache.h = arena.slab<T>("adapter: edited rows", true, reads_rows && extent.keep ? extent.rows : 0, 0, d());
      cache.e = arena.slab<T>("adapter: edits", extent.keep, extent.rows, extent.lane_rows, r());
      if constexpr (is_activated) {
        cache.u = arena.slab<T>("adapter: edits", extent.keep, extent.rows, extent.lane_rows, r());
      }
    }
    /// delta and t, which the layer gives back.
    void lay_out_scratch(Cache& cache, Arena& arena, const Extent& extent) const {
      cache.delta = arena.slab<T>("adapter: gradients", true, extent.keep ? extent.rows : 0, 0, d());
      cache.t = arena.slab<T>("adapter: gradients", true, extent.keep ? extent.rows : 0, 0, r());
    }

    /// h(E,d), in place.
    template <class B>
    void edit(const B& be, Cache& cache, Block block, View<T> h) const {
      const View<T> e = cache.e.at(block);
      if (reads_rows && cache.keeps) {
        be.copy(h, cache.h.at(block));
      }
      be.fill(0, e);
      be.add_bias(b_.value, e);
      if constexpr (Source::reads_hidden) {
        be.gemm_nt(1, h, w_.value, 1, e);  // (E,d)(r,d)' -> (E,r)
      }
      if constexpr (is_activated) {
        be.copy(e, cache.u.at(block));
        be.activation(Source::activation, e, e);
      }
      if constexpr (Form::subtracts) {
        be.gemm_nt(-1, h, basis(), 1, e);
      }
      if constexpr (is_biased) {
        be.add_bias(-1, b2_.value, e);
      }
      keep_subspace(be, cache, block, e);
      be.gemm_nn(1, e, basis(), 1, h);  // (E,r)(r,d) -> (E,d)
      if (drops(cache)) {
        be.dropout(dropout_, cache.dropout, block.begin, h, h);
      }
    }

    /// dh(E,d), in place.
    template <class B>
    void edit_vjp(const B& be, Cache& cache, Block block, View<T> dh) const {
      const View<T> t = cache.t.at(block);
      if (drops(cache)) {
        be.dropout(dropout_, cache.dropout, block.begin, dh, dh);
      }
      be.copy(dh, cache.delta.at(block));
      be.gemm_nt(1, dh, basis(), 0, t);  // (E,d)(r,d)' -> (E,r)
      keep_subspace(be, cache, block, t);
      if constexpr (is_activated) {
        be.activation_vjp(Source::activation, cache.u.at(block), t, cache.u.at(block));
      }
      if constexpr (Source::reads_hidden) {
        be.gemm_nn(1, source_gradient(cache).at(block), w_.value, 1, dh);  // (E,r)(r,d) -> (E,d)
      }
      if constexpr (Form::subtracts) {
        be.gemm_nn(-1, t, basis(), 1, dh);
      }
    }

    /// What e reads of a row, without an activation: e = G h + g. Here G(r,d) = [W] - [R].
    template <class B>
      requires(!is_activated)
    [[nodiscard]] Tensor<T> gain(const B& be) const {
      Tensor<T> gain(r(), d());
      if constexpr (Source::reads_hidden) {
        be.add(1, w_.value, gain.view());
      }
      if constexpr (Form::subtracts) {
        be.add(-1, basis(), gain.view());
      }
      return gain;
    }
    /// And g(1,r) = b - [b2].
    template <class B>
      requires(!is_activated)
    [[nodiscard]] Tensor<T> shift(const B& be) const {
      Tensor<T> shift(1, r());
      be.add(1, b_.value, shift.view());
      if constexpr (is_biased) {
        be.add(-1, b2_.value, shift.view());
      }
      return shift;
    }
    /// The edit of every row of h = V x + c as a change of V(d,M): V <- V + R' G V.
    template <class B>
      requires(!is_activated)
    void fold_weight(const B& be, View<T> v) const {
      Tensor<T> e(r(), v.cols);
      be.gemm_nn(1, gain(be).view(), v, 0, e.view());  // (r,d)(d,M) -> (r,M)
      be.gemm_tn(1, basis(), e.view(), 1, v);          // (r,d)'(r,M) -> (d,M)
    }
    /// And of c(1,d): c <- c + R'(G c + g).
    template <class B>
      requires(!is_activated)
    void fold_bias(const B& be, View<T> c) const {
      Tensor<T> e = shift(be);
      be.gemm_nt(1, c, gain(be).view(), 1, e.view());  // (1,d)(r,d)' -> (1,r)
      be.gemm_nn(1, e.view(), basis(), 1, c);          // (1,r)(r,d) -> (1,d)
    }

    /// Adds the sums over the edited rows [run].
    template <class B>
    void gradients(const B& be, Cache& cache, RowRange run) {
      const auto rows = [&](const Slab<T>& slab) { return slab.wide().middle_rows(run.begin, run.rows); };
      if constexpr (Source::reads_hidden) {
        be.gemm_tn(1, rows(source_gradient(cache)), rows(cache.h), 1, w_.gradient.view());  // -> (r,d)
      }
      be.add_column_sums(1, rows(source_gradient(cache)), b_.gradient.view());
      if constexpr (is_biased) {
        be.add_column_sums(-1, rows(cache.t), b2_.gradient.view());
      }
      const View<T> dr = chart_.rows_gradient(r_);
      be.gemm_tn(1, rows(cache.e), rows(cache.delta), 1, dr);
      if constexpr (Form::subtracts) {
        be.gemm_tn(-1, rows(cache.t), rows(cache.h), 1, dr);
      }
      chart_.pull(be, r_);
    }

   private:
    static constexpr bool reads_rows = Source::reads_hidden || Form::subtracts;  // else the gradients need no h
    [[nodiscard]] Index r() const { return b_.value.cols; }
    [[nodiscard]] Index d() const { return basis().cols; }
    /// t, or t o f'(u) once edit_vjp has made it.
    [[nodiscard]] static const Slab<T>& source_gradient(const Cache& cache) { return is_activated ? cache.u : cache.t; }
    [[nodiscard]] bool drops(const Cache& cache) const { return cache.keeps && dropout_ > 0; }

    /// SubLoReFT: a row of x(E,r) keeps the columns that its sequence carries.
    template <class B>
    static void keep_subspace(const B& be, const Cache& cache, Block block, View<T> x) {
      if (!cache.subspaces.empty()) {
        be.keep_cols(
            cache.subspaces.subspan(static_cast<std::size_t>(block.begin), static_cast<std::size_t>(block.rows)), x);
      }
    }
    static Index checked_rank(const Subspace& recipe, const Place& place) {
      if (recipe.rank < 1 || recipe.rank > place.outputs || (Rank != dynamic && recipe.rank != Rank)) {
        fail("adapter.620",
             "a subspace edit needs 1 <= rank <= width = " + std::to_string(place.outputs) + "; found " +
                 std::to_string(recipe.rank),
             place.name);
      }
      return recipe.rank;
    }
    void start_random(Index width, Random random) {
      const double bound = 1.0 / std::sqrt(static_cast<double>(width));
      const auto fill = [&](Parameter<T>& bias, Random stream, bool is_centred) {
        for (Index j = 0; j < bias.size(); ++j) {
          const double u = stream.uniform(static_cast<std::uint64_t>(j));
          bias.value(0, j) = T(static_cast<real_type<T>>(is_centred ? bound * (2 * u - 1) : u));
        }
      };
      fill(b_, random, Source::reads_hidden);
      fill(b2_, random.child(1), true);
      if constexpr (Source::reads_hidden) {
        policies::KaimingUniform::fill(w_.value, random.child(0));
      }
    }

    typename Basis::template Chart<T> chart_;
    Parameter<T> r_;
    Parameter<T> w_;
    Parameter<T> b_;
    Parameter<T> b2_;
    double dropout_ = 0;
  };
};

/// h + R'(W h + b - R h), R orthonormal.
template <Index Rank = dynamic, class Start = policies::IdentityStart>
using LoReft = Subspace<Rank, policies::Orthonormal, policies::Affine, policies::Difference, Start>;
/// h + W2'(W1 h + b - W2 h): LoReFT without the constraint.
template <Index Rank = dynamic, class Start = policies::IdentityStart>
using NoReft = Subspace<Rank, policies::Free, policies::Affine, policies::Difference, Start>;
/// h + W2'(W1 h + b - W2 h - b2): NoReFT with pyreft's add_bias.
template <Index Rank = dynamic, class Start = policies::IdentityStart>
using BiasedNoReft = Subspace<Rank, policies::Free, policies::Affine, policies::BiasedDifference, Start>;
/// h + R'(f(W h + b) - R h), R orthonormal: LoReFT with pyreft's act_fn.
template <ops::Activation F, Index Rank = dynamic, class Start = policies::RandomStart>
using ActivatedLoReft = Subspace<Rank, policies::Orthonormal, policies::Activated<F>, policies::Difference, Start>;
/// h + W2'(W1 h + b): the paper's DiReFT; pyreft calls it NodireftIntervention.
template <Index Rank = dynamic, class Start = policies::IdentityStart>
using NodiReft = Subspace<Rank, policies::Free, policies::Affine, policies::Direct, Start>;
/// The paper's DiReFT.
template <Index Rank = dynamic, class Start = policies::IdentityStart>
using DiReft = NodiReft<Rank, Start>;
/// h + R'(W h + b), R orthonormal: an ablation of the paper, and what pyreft's class DireftIntervention does.
template <Index Rank = dynamic, class Start = policies::IdentityStart>
using DiReftOrthonormal = Subspace<Rank, policies::Orthonormal, policies::Affine, policies::Direct, Start>;
/// h + R'(b - R h), R orthonormal.
template <Index Rank = dynamic, class Start = policies::IdentityStart>
using ConsReft = Subspace<Rank, policies::Orthonormal, policies::Constant, policies::Difference, Start>;
/// h + R' b, R orthonormal.
template <Index Rank = dynamic, class Start = policies::IdentityStart>
using LobiReft = Subspace<Rank, policies::Orthonormal, policies::Constant, policies::Direct, Start>;

static_assert(representation_adapter<LoReft<>>);

}  // namespace graft::adapters
