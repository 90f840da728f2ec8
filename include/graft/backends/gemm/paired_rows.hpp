// SPDX-License-Identifier: Apache-2.0
// PairedRows: the second factor of a bf16 product in the order in which bf16 instructions read it, so that the gemm door copies nothing.
#pragma once

#include <algorithm>  // copy_n, fill_n, min

#include <graft/backends/scratch.hpp>
#include <graft/backends/simd/level.hpp>

namespace graft::backends {

/// b(K,N): 32 rows and 64 columns after another, in each the rows in pairs whose numbers alternate; oneDNN's BA16a64b2a.
struct PairedRows {
  static constexpr Index cols_at_once = 64;  ///< a tail is filled with zeros
  static constexpr Index rows_at_once = 32;  ///< a tail is filled with zeros

  const bf16* data = nullptr;  ///< in memory of somebody else
  Index rows = 0;              ///< K
  Index cols = 0;              ///< N
};

/// b in this thread's memory, valid until it asks again.
[[nodiscard]] inline PairedRows paired(Isa isa, View<const bf16> b) {
  constexpr Index width = PairedRows::cols_at_once;
  const Index down = round_up(b.rows, PairedRows::rows_at_once);
  const Index across = round_up(b.cols, width);
  bf16* const memory = scratch<Purpose::weight, bf16>(down * across);
  bf16 edge[2][width];
  const auto piece = [&](Index i, Index j) -> const bf16* {
    if (i < b.rows && j + width <= b.cols) {
      constexpr Index ahead = 8;  // rows: they lie on other pages, where the processor does not look by itself
      const bf16* const soon = b.row(std::min(i + ahead, b.rows - 1)) + j;
      __builtin_prefetch(soon);
      __builtin_prefetch(soon + width / 2);
      return b.row(i) + j;
    }
    bf16* const filled = edge[i % 2];
    std::fill_n(filled, width, bf16{});
    if (i < b.rows) {
      std::copy_n(b.row(i) + j, b.cols - j, filled);
    }
    return filled;
  };
  simd::at_level(isa, [&](auto level) {
    for (Index i = 0; i < down; i += 2) {
      for (Index j = 0; j < across; j += width) {
        level.pair_rows(piece(i, j), piece(i + 1, j), width, memory + j * down + i * width);
      }
    }
  });
  return {memory, b.rows, b.cols};
}

}  // namespace graft::backends
