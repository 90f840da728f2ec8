// SPDX-License-Identifier: Apache-2.0
// Linear: y = x W' + bias of a frozen weight, with the four phases in which grafts read and change what flows through it.
#pragma once

#include <algorithm>  // max

#include <graft/core/arena.hpp>
#include <graft/core/operand.hpp>
#include <graft/core/tensor.hpp>

namespace graft::layers {

/// What a lane needs beside inputs and outputs of the linear maps it runs, one after another.
template <precision P>
struct LinearScratch {
  using S = typename P::Stored;    ///< storage
  using C = typename P::Computed;  ///< arithmetic
  Slab<S> rounded;                 ///< the operand of the gemm, where storage and arithmetic differ
  Slab<C> input;                   ///< an edited copy of x, or the gradient of one
  Slab<C> output;                  ///< an edited copy of dy

  /// `widest`: the most columns that any of the maps has on either side.
  static LinearScratch lay_out(Arena& arena, Index lane_rows, Index widest) {
    constexpr bool rounds = !std::same_as<S, C>;
    return {arena.slab<S>("scratch: gemm operands", false, 0, lane_rows, rounds ? widest : 0),
            arena.slab<C>("scratch: edited copies", false, 0, lane_rows, widest),
            arena.slab<C>("scratch: edited copies", false, 0, lane_rows, widest)};
  }
};

/// A frozen linear map of N outputs and M inputs. A graft (adapter.hpp) sees x, edits a copy of x, sees the product before
/// the bias, and adds to y. Nobody reads what a neighbour adds, so grafts compose in any order; only the product is that of
/// the edited x (decisions/0004). A call is a whole block of products: seven inlined copies would only cost compile time.
template <precision P, class B>
struct Linear {
  using S = typename P::Stored;    ///< storage
  using C = typename P::Computed;  ///< arithmetic

  typename B::template Weight<S> weight;  ///< (N,M)
  Tensor<C> bias;                         ///< (1,N), or empty

  [[nodiscard]] Index outputs() const { return weight.rows(); }  ///< N
  [[nodiscard]] Index inputs() const { return weight.cols(); }   ///< M

  /// x(T,M) => y(T,N) for the rows of one block.
  template <class Graft>
  [[gnu::noinline]] void forward(const B& be, Block block, const LinearScratch<P>& scratch, const Graft& graft, In<C> x,
                                 View<C> y) const {
    graft.read(be, block, x);
    View<const C> seen = x;
    if (graft.edits_input()) {
      const View<C> edited = scratch.input.at(block).middle_cols(0, inputs());
      be.copy(x, edited);
      graft.edit_input(be, block, edited);
      seen = edited;
    }
    be.gemm_nt(1, operand<P>(be, seen, rounded(scratch, block, inputs())), weight, 0, y);  // (T,M)(N,M)' -> (T,N)
    graft.read_output(be, block, y);
    if (bias.size() > 0) {
      be.add_bias(bias.view(), y);
    }
    graft.add(be, block, y);
  }

  /// dy(T,N) => dx(T,M) = beta dx + its gradient; the phases of forward, mirrored. x is forward's, where graft.needs_input().
  template <class Graft>
  [[gnu::noinline]] void backward(const B& be, Block block, const LinearScratch<P>& scratch, const Graft& graft,
                                  In<C> x, In<C> dy, C beta, View<C> dx) const {
    graft.add_vjp(be, block, dy);
    View<const C> pulled = dy;
    if (graft.edits_output()) {
      const View<C> edited = scratch.output.at(block).middle_cols(0, outputs());
      be.copy(dy, edited);
      graft.read_output_vjp(be, block, edited);
      pulled = edited;
    }
    const auto rounded_dy = operand<P>(be, pulled, rounded(scratch, block, outputs()));
    if (graft.edits_input()) {
      const View<C> d_edited = scratch.input.at(block).middle_cols(0, inputs());
      be.gemm_nn(1, rounded_dy, weight, 0, d_edited);  // (T,N)(N,M) -> (T,M)
      graft.edit_input_vjp(be, block, d_edited);
      if (beta == C{}) {
        be.copy(d_edited, dx);
      } else {
        be.add(1, d_edited, dx);
      }
    } else {
      be.gemm_nn(1, rounded_dy, weight, beta, dx);
    }
    graft.read_vjp(be, block, dx);
    graft.block_gradients(be, block, x, dy);
  }

 private:
  /// Rows that follow each other without a gap: what gemm libraries multiply fastest.
  [[nodiscard]] static View<S> rounded(const LinearScratch<P>& scratch, Block block, Index width) {
    const View<S> rows = scratch.rounded.at(block);
    return rows.cols == 0 ? rows : View<S>(rows.data, rows.rows, width);
  }
};

}  // namespace graft::layers
