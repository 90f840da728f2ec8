// SPDX-License-Identifier: Apache-2.0
// MaskedInput: what a low-rank update reads of x: x itself, or in training what dropout leaves of it.
#pragma once

#include <graft/adapter.hpp>

namespace graft::adapters {

/// The mask is a function of the pass's seed and the element, so it is made again in the backward and nothing is kept.
template <scalar T>
class MaskedInput {
 public:
  /// Part of a module's scratch: without dropout, or in a pass without a backward, it takes no memory.
  void lay_out(Arena& arena, const Extent& extent, double rate, Index inputs) {
    rate_ = extent.keep ? rate : 0;
    random_ = extent.dropout;
    rows_ = arena.slab<T>("adapter: dropped input", false, 0, rate_ > 0 ? extent.lane_rows : 0, inputs);
  }

  /// x(T,M), or the masked x in scratch that the next call overwrites.
  template <class B>
  [[nodiscard]] View<const T> of(const B& be, Block block, In<T> x) const {
    if (rate_ == 0) {
      return x;
    }
    be.dropout(rate_, random_, block.begin, x, rows_.at(block));
    return rows_.at(block);
  }
  /// dx(T,M) += A' u under the same mask, with u(T,r) and A(r,M).
  template <class B>
  void pull(const B& be, Block block, In<T> u, In<T> a, View<T> dx) const {
    if (rate_ == 0) {
      be.gemm_nn(1, u, a, 1, dx);  // (T,r)(r,M) -> (T,M)
      return;
    }
    const View<T> pulled = rows_.at(block);
    be.gemm_nn(1, u, a, 0, pulled);
    be.dropout(rate_, random_, block.begin, pulled, pulled);
    be.add(1, pulled, dx);
  }

 private:
  Slab<T> rows_;
  Random random_{0};
  double rate_ = 0;
};

}  // namespace graft::adapters
