// SPDX-License-Identifier: Apache-2.0
// Lokr: W = W0 + s (W1 kron W2), either factor whole or a product of rank r. Yeh et al., "LyCORIS", arXiv 2309.14859.
#pragma once

#include <algorithm>  // max, swap
#include <cstdint>
#include <span>
#include <vector>

#include <graft/adapter.hpp>
#include <graft/adapters/policies/initializer.hpp>
#include <graft/adapters/policies/scaling.hpp>

namespace graft::adapters {

/// A width as a product of two: the small side first, unless `factor` divides it.
struct Factored {
  Index first = 1;   ///< rows or columns of W1
  Index second = 1;  ///< of W2

  friend constexpr bool operator==(const Factored&, const Factored&) = default;
};

/// LyCORIS' rule, which decides the shapes in a file: `factor` itself where it divides the width, else the pair of divisors
/// closest to a square whose smaller one is at most `factor` (-1: no limit).
[[nodiscard]] constexpr Factored factored(Index width, Index factor) {
  if (factor > 0 && width % factor == 0) {
    return {factor, width / factor};
  }
  const Index limit = factor == -1 ? width : factor;
  Factored found{1, width};
  while (found.first < found.second) {
    Index next = found.first + 1;
    while (width % next != 0) {
      ++next;
    }
    if (next > limit) {
      break;
    }
    found = {next, width / next};
  }
  if (found.first > found.second) {
    std::swap(found.first, found.second);
  }
  return found;
}

/// Kronecker product of W1(n1,m1) and W2(n2,m2), with N = n1 n2 and M = m1 m2. In pieces x_j of m2 inputs and y_i of n2
/// outputs, and with W2 = P Q (Q = W2 of R = n2 rows where it is whole; else P(n2,r), Q(r,m2), R = r),
///
///   z_j = Q x_j,  h_i = sum over j of W1[i,j] z_j,  y_i += s P h_i
///   dh_i = s P' dy_i,  dz_j = sum over i of W1[i,j] dh_i,  dx_j += Q' dz_j
///   dP = sum over i of s dy_i h_i',  dW1[i,j] = dh_i . z_j,  dQ = sum over j of dz_j x_j'
///
/// Each line is one product of short rows; between them the pieces change places with their entries. No N x M matrix exists.
template <scaling Scale = policies::AlphaOverRank>
struct LokrOf {
  static constexpr std::string_view name = "lokr";  ///< in files and messages

  Index rank = 8;               ///< r of the factors that are not whole
  double alpha = 8;             ///< of the scaling
  Index factor = -1;            ///< PEFT's decompose_factor
  bool decompose_both = false;  ///< W1 may be a product too

  /// Calls visit(name, value) for the settings that a file holds.
  template <class Visitor>
  void for_each_setting(Visitor&& visit) {
    visit("rank", rank);
    visit("alpha", alpha);
    visit("factor", factor);
    visit("decompose_both", decompose_both);
  }
  /// The policies on which the meaning of stored numbers depends.
  template <class Visitor>
  static void for_each_policy(Visitor&& visit) {
    visit("scaling", policy_name<Scale>());
  }

  /// The shapes of W1 and W2 at a place; a factor is whole where r is not below half its larger side.
  struct Shape {
    Factored n, m;        ///< N = n1 n2, M = m1 m2
    bool whole1, whole2;  ///< not a product
  };
  /// What PEFT decides from the map's extents.
  [[nodiscard]] Shape shape(const Place& place) const {
    const Factored n = factored(place.outputs, factor);
    const Factored m = factored(place.inputs, factor);
    return {n, m, !decompose_both || 2 * rank >= std::max(n.first, m.first), 2 * rank >= std::max(n.second, m.second)};
  }
  /// n1 m1 + n2 m2 numbers, or r (n + m) in place of a product.
  [[nodiscard]] Index trained(const Place& place) const {
    const Shape s = shape(place);
    return (s.whole1 ? s.n.first * s.m.first : rank * (s.n.first + s.m.first)) +
           (s.whole2 ? s.n.second * s.m.second : rank * (s.n.second + s.m.second));
  }

  /// Two factors, or their halves. Costs R (N + M + n1 m1) multiply-adds a token (whole: R m1 (m2 + n1)); keeps nothing.
  template <scalar T>
  class Module {
   public:
    /// What one pass has in hand, for the rows of a block; "turned" has the entries of the pieces outside, the pieces inside.
    struct Cache {
      View<T> w1;             ///< (n1,m1)
      Slab<T> z, turned_z;    ///< (T,m1 R) and (T,R m1)
      Slab<T> h, turned_h;    ///< (T,n1 R) and (T,R n1)
      Slab<T> dz, turned_dz;  ///< shaped as z
      Slab<T> dh, turned_dh;  ///< shaped as h
      View<T> dw1, dp, dq;    ///< a row for each block: its share of the gradients
      View<T> dw1_sum;        ///< (n1,m1)
    };

    Module() = default;
    /// W1 zero (its left half, where it is a product), the rest random; a rank below 1 is adapter.701.
    template <class B, class W>
    Module(const LokrOf& recipe, const B&, const W&, const Place& place, Random random)
        : shape_(checked(recipe, place).shape(place)),
          w1_(shape_.n.first, shape_.whole1 ? shape_.m.first : recipe.rank),
          w1_b_(shape_.whole1 ? 0 : recipe.rank, shape_.whole1 ? 0 : shape_.m.first),
          p_(shape_.whole2 ? 0 : shape_.n.second, shape_.whole2 ? 0 : recipe.rank),
          q_(shape_.whole2 ? shape_.n.second : recipe.rank, shape_.m.second),
          turn_z_(turned(shape_.m.first, q_.value.rows)),
          turn_z_back_(turned(q_.value.rows, shape_.m.first)),
          turn_h_(turned(shape_.n.first, q_.value.rows)),
          turn_h_back_(turned(q_.value.rows, shape_.n.first)),
          scale_(static_cast<real_type<T>>(Scale::scale(recipe.alpha, recipe.rank))) {
      policies::KaimingUniform::fill(w1_b_.value, random.child(0));
      policies::KaimingUniform::fill(p_.value, random.child(1));
      policies::KaimingUniform::fill(q_.value, random.child(2));
    }

    /// Calls visit(name, parameter) for the factors or their halves, by PEFT's names.
    template <class Visitor>
    void for_each_parameter(Visitor&& visit) {
      visit(shape_.whole1 ? "lokr_w1" : "lokr_w1_a", w1_);
      if (!shape_.whole1) {
        visit("lokr_w1_b", w1_b_);
      }
      if (!shape_.whole2) {
        visit("lokr_w2_a", p_);
      }
      visit(shape_.whole2 ? "lokr_w2" : "lokr_w2_b", q_);
    }
    [[nodiscard]] T scale() const { return scale_; }                   ///< s
    [[nodiscard]] bool needs_input() const { return true; }            ///< for dQ, and z again
    [[nodiscard]] bool needs_output_gradient() const { return true; }  ///< for dP
    void lay_out_kept(Cache&, Arena&, const Extent&) const {}          ///< z is recomputed from x

    /// W1 multiplied out, the pieces of a block and the shares of the gradients.
    void lay_out_scratch(Cache& cache, Arena& arena, const Extent& extent) const {
      const Index lane = extent.lane_rows;
      const Index back = extent.keep ? 1 : 0;
      const Index halves = shape_.whole2 ? 0 : 1;
      const Index blocks = back * ceil_div(extent.rows, lane);
      const auto slab = [&](Index rows, Index pieces) {
        return arena.slab<T>("adapter: Kronecker pieces", false, 0, rows, pieces * q_.value.rows);
      };
      cache.w1 = arena.take<T>("adapter: factors", n1(), m1());
      cache.z = slab(lane, m1());
      cache.turned_z = slab(lane, m1());
      cache.h = slab(halves * lane, n1());
      cache.turned_h = slab(lane, n1());
      cache.dz = slab(back * lane, m1());
      cache.turned_dz = slab(back * lane, m1());
      cache.dh = slab(halves * back * lane, n1());
      cache.turned_dh = slab(back * lane, n1());
      cache.dw1 = arena.take<T>("adapter: gradients", blocks, n1() * m1());
      cache.dp = arena.take<T>("adapter: gradients", blocks, p_.size());
      cache.dq = arena.take<T>("adapter: gradients", blocks, q_.size());
      cache.dw1_sum = arena.take<T>("adapter: gradients", back * n1(), m1());
    }
    /// Multiplies W1 out for the segments that follow.
    template <class B, class W>
    void prepare(const B& be, Cache& cache, const W&) const {
      multiply_out(be, cache.w1);
    }

    /// z_j = Q x_j.
    template <class B>
    void read(const B& be, Cache& cache, Block block, In<T> x) const {
      const View<T> z = cache.z.at(block);
      each_piece(m1(), x, z, [&](auto from, auto onto) { be.gemm_nt(1, from, q_.value, 0, onto); });  // (,m2)(R,m2)'
      be.gather_cols(z, list(turn_z_), cache.turned_z.at(block));
    }
    /// y_i += s P h_i.
    template <class B>
    void add(const B& be, Cache& cache, Block block, View<T> y) const {
      mix(be, cache, block);
      if (shape_.whole2) {
        be.scatter_add_cols(scale_, cache.turned_h.at(block), list(turn_h_), y);
        return;
      }
      each_piece(n1(), View<const T>(cache.h.at(block)), y,
                 [&](auto from, auto onto) { be.gemm_nt(scale_, from, p_.value, 1, onto); });  // (,r)(n2,r)' -> (,n2)
    }

    /// dh_i = s P' dy_i, and from it dz_j.
    template <class B>
    void add_vjp(const B& be, Cache& cache, Block block, In<T> dy) const {
      const View<T> dh = cache.turned_dh.at(block);
      const View<T> dz = cache.turned_dz.at(block);
      if (shape_.whole2) {
        be.gather_cols(dy, list(turn_h_), dh);
        be.scale(scale_, dh);
      } else {
        each_piece(n1(), dy, cache.dh.at(block),
                   [&](auto from, auto onto) { be.gemm_nn(scale_, from, p_.value, 0, onto); });  // (,n2)(n2,r) -> (,r)
        be.gather_cols(cache.dh.at(block), list(turn_h_), dh);
      }
      be.gemm_nn(1, short_rows(dh, n1()), cache.w1, 0, short_rows(dz, m1()));  // (,n1)(n1,m1) -> (,m1)
      be.gather_cols(dz, list(turn_z_back_), cache.dz.at(block));
    }
    /// dx_j += Q' dz_j.
    template <class B>
    void read_vjp(const B& be, Cache& cache, Block block, View<T> dx) const {
      each_piece(m1(), View<const T>(cache.dz.at(block)), dx,
                 [&](auto from, auto onto) { be.gemm_nn(1, from, q_.value, 1, onto); });  // (,R)(R,m2) -> (,m2)
    }
    /// A block's share of dW1, dP and dQ; z and h are made again.
    template <class B>
    void block_gradients(const B& be, Cache& cache, BlockShare share, Block block, In<T> x, In<T> dy) {
      read(be, cache, block, x);
      mix(be, cache, block);
      const T kept = share.first ? T{} : T{1};
      const auto own = [&](View<T> shares, View<T> shape) {
        return View<T>(shares.row(share.block), shape.rows, shape.cols);
      };
      be.gemm_tn(1, short_rows(cache.turned_dh.at(block), n1()), short_rows(cache.turned_z.at(block), m1()), kept,
                 own(cache.dw1, cache.w1));  // (,n1)'(,m1) -> (n1,m1)
      add_pieces(be, 1, m1(), cache.dz.at(block), x, kept, own(cache.dq, q_.value));
      if (!shape_.whole2) {
        add_pieces(be, scale_, n1(), dy, cache.h.at(block), kept, own(cache.dp, p_.value));
      }
    }
    /// The gradients += the shares of all blocks, in their order; those of W1's halves follow from dW1.
    template <class B>
    void gradients(const B& be, Cache& cache) {
      be.add_column_sums(1, cache.dq, q_.gradient.view().reshape(1, q_.size()));
      if (!shape_.whole2) {
        be.add_column_sums(1, cache.dp, p_.gradient.view().reshape(1, p_.size()));
      }
      if (shape_.whole1) {
        be.add_column_sums(1, cache.dw1, w1_.gradient.view().reshape(1, w1_.size()));
        return;
      }
      const View<T> dw1 = cache.dw1_sum;
      be.fill(0, dw1);
      be.add_column_sums(1, cache.dw1, dw1.reshape(1, dw1.size()));
      be.gemm_nt(1, dw1, w1_b_.value, 1, w1_.gradient.view());  // (n1,m1)(r,m1)' -> (n1,r)
      be.gemm_tn(1, w1_.value, dw1, 1, w1_b_.gradient.view());  // (n1,r)'(n1,m1) -> (r,m1)
    }

    /// into += s (W1 kron W2), piece by piece.
    template <class B>
    void merge(const B& be, In<T>, View<T> into) const {
      Tensor<T> w1(n1(), m1());
      Tensor<T> w2(shape_.n.second, shape_.m.second);
      multiply_out(be, w1.view());
      if (shape_.whole2) {
        be.copy(q_.value, w2.view());
      } else {
        be.gemm_nn(1, p_.value, q_.value, 0, w2.view());  // (n2,r)(r,m2)
      }
      for (Index i = 0; i < n1(); ++i) {
        for (Index j = 0; j < m1(); ++j) {
          be.add(scale_ * w1(i, j), w2.view(),
                 into.middle_rows(i * w2.rows(), w2.rows()).middle_cols(j * w2.cols(), w2.cols()));
        }
      }
    }

   private:
    using List = std::vector<std::int32_t>;

    [[nodiscard]] Index n1() const { return shape_.n.first; }
    [[nodiscard]] Index m1() const { return shape_.m.first; }
    [[nodiscard]] static std::span<const std::int32_t> list(const List& order) { return order; }

    static const LokrOf& checked(const LokrOf& recipe, const Place& place) {
      if (recipe.rank < 1 || (recipe.factor < 1 && recipe.factor != -1)) {
        fail("adapter.701",
             "LoKr needs a rank of at least 1, and a factor of at least 1 or -1; found rank " +
                 std::to_string(recipe.rank) + ", factor " + std::to_string(recipe.factor),
             place.name);
      }
      return recipe;
    }
    /// Where the entries of `pieces` pieces of `width` go when they are turned: out[q pieces + j] = in[j width + q].
    static List turned(Index pieces, Index width) {
      List order;
      for (Index q = 0; q < width; ++q) {
        for (Index j = 0; j < pieces; ++j) {
          order.push_back(static_cast<std::int32_t>(j * width + q));
        }
      }
      return order;
    }
    /// Rows of `width` where several stood side by side.
    static View<T> short_rows(View<T> x, Index width) { return x.reshape(x.size() / width, width); }

    /// Calls body(from, onto) for all pieces at once where both views are close rows, else one by one.
    template <class Body>
    static void each_piece(Index pieces, View<const T> from, View<T> onto, const Body& body) {
      const Index in = from.cols / pieces;
      const Index out = onto.cols / pieces;
      if (from.contiguous() && onto.contiguous()) {
        body(from.reshape(from.rows * pieces, in), onto.reshape(onto.rows * pieces, out));
        return;
      }
      for (Index j = 0; j < pieces; ++j) {
        body(from.middle_cols(j * in, in), onto.middle_cols(j * out, out));
      }
    }
    /// sum = kept sum + alpha times the sum over pieces of a_j' b_j.
    template <class B>
    static void add_pieces(const B& be, T alpha, Index pieces, In<T> a, In<T> b, T kept, View<T> sum) {
      if (a.contiguous() && b.contiguous()) {
        be.gemm_tn(alpha, a.reshape(a.rows * pieces, sum.rows), b.reshape(b.rows * pieces, sum.cols), kept, sum);
        return;
      }
      for (Index j = 0; j < pieces; ++j) {
        be.gemm_tn(alpha, a.middle_cols(j * sum.rows, sum.rows), b.middle_cols(j * sum.cols, sum.cols),
                   j == 0 ? kept : T{1}, sum);
      }
    }
    /// h_i = sum over j of W1[i,j] z_j.
    template <class B>
    void mix(const B& be, Cache& cache, Block block) const {
      const View<T> h = cache.turned_h.at(block);
      be.gemm_nt(1, short_rows(cache.turned_z.at(block), m1()), cache.w1, 0, short_rows(h, n1()));  // (,m1)(n1,m1)'
      if (!shape_.whole2) {
        be.gather_cols(h, list(turn_h_back_), cache.h.at(block));
      }
    }
    template <class B>
    void multiply_out(const B& be, View<T> w1) const {
      if (shape_.whole1) {
        be.copy(w1_.value, w1);
      } else {
        be.gemm_nn(1, w1_.value, w1_b_.value, 0, w1);  // (n1,r)(r,m1)
      }
    }

    Shape shape_{};
    Parameter<T> w1_, w1_b_;  // (n1,m1), or (n1,r) and (r,m1)
    Parameter<T> p_, q_;      // empty and (n2,m2), or (n2,r) and (r,m2)
    List turn_z_, turn_z_back_, turn_h_, turn_h_back_;
    T scale_{1};
  };
};

/// LoKr as PEFT has it.
using Lokr = LokrOf<>;

static_assert(weight_adapter<Lokr>);

}  // namespace graft::adapters
