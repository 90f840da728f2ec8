// SPDX-License-Identifier: Apache-2.0
// Block: the fixed run of rows that one thread carries from attention to attention; Slab: memory addressed by blocks.
#pragma once

#include <graft/core/ragged.hpp>
#include <graft/core/view.hpp>

namespace graft {

/// Rows [begin, begin + rows) of a batch, carried by `lane`; `offset` is where they start inside the lane's block.
struct Block {
  Index begin = 0;   ///< first row, counted in the batch
  Index rows = 0;    ///< at most the backend's block_rows
  Index lane = 0;    ///< who carries them, below lane_count()
  Index offset = 0;  ///< of the first row in the lane's memory

  /// The rows of this block that lie in `range`.
  [[nodiscard]] constexpr Block part(RowRange range) const {
    const RowRange both = intersect({begin, rows}, range);
    return {both.begin, both.rows, lane, offset + both.begin - begin};
  }
};

/// A matrix with a row for each token of the batch (wide: something reads it after the segment) or only for each row
/// that a lane has in hand (it then stays in that core's cache). Layers address both by blocks and cannot tell them apart.
template <class T>
struct Slab {
  View<T> data;         ///< wide: (T,C); else (lanes * lane_rows, C)
  Index lane_rows = 0;  ///< rows that each lane owns; 0 = wide

  /// The rows of one block, wherever they lie.
  [[nodiscard]] constexpr View<T> at(Block block) const {
    return data.middle_rows(lane_rows == 0 ? block.begin : block.lane * lane_rows + block.offset, block.rows);
  }
  /// All rows; only a wide slab has them.
  [[nodiscard]] constexpr View<T> wide() const {
    require(lane_rows == 0, "shape.111", "Slab: a lane's scratch has no rows beyond its block");
    return data;
  }
};

}  // namespace graft
