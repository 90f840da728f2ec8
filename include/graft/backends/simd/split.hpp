// SPDX-License-Identifier: Apache-2.0
// split: how work is divided among threads. Every partition depends on shapes only, so sums do not depend on threads.
#pragma once

#include <algorithm>  // clamp, max, min

#include <graft/backends/gemm/calling_thread.hpp>
#include <graft/core/parallel.hpp>

namespace graft::backends::simd {

/// Columns of a product that are computed by one call of the gemm door: what the library packs of b then stays in cache
/// (128 rows, N 1536, K 576: 109 GFLOP/s a core against 72 in one call; docs/decisions/0003-gemm-and-weights.md).
inline constexpr Index panel_cols = 384;

/// The same where the door multiplies bf16: some 640 KB of b (`depth` is the rows or columns that are summed over), beside which
/// the operand and the product fit into a second-level cache of 2 MB (docs/decisions/0020-bf16-panels.md).
[[nodiscard]] constexpr Index panel_cols_of_bf16(Index depth) {
  return std::clamp(327680 / std::max(depth, Index{1}) / 64 * 64, Index{64}, panel_cols);
}

/// Rows up to which a product is bound by reading its second factor: a gemm door would copy that into a form of its own first.
inline constexpr Index narrow_rows = 4;

/// Calls body(task) for every task in [0, count): in parallel, unless this thread is itself one of several.
template <class Body>
void share(Index count, const Body& body) {
  if (count > 1 && !in_parallel()) {
    parallel_for(count, [&](Index task, Index) { body(task); });
  } else {
    for (Index task = 0; task < count; ++task) {
      body(task);
    }
  }
}

/// Calls body(begin, cols) for every panel of `most` columns.
template <class Body>
void for_each_panel(Index cols, Index most, const Body& body) {
  share(ceil_div(cols, most), [&](Index task) { body(task * most, std::min(most, cols - task * most)); });
}

/// Calls body(begin, cols) for stripes of 64 columns: column sums keep the order of rows.
template <class Body>
void for_each_stripe(Index cols, const Body& body) {
  constexpr Index stripe = 64;
  share(ceil_div(cols, stripe), [&](Index task) { body(task * stripe, std::min(stripe, cols - task * stripe)); });
}

/// Rows that hold about 32,768 numbers: less is not worth a second thread.
[[nodiscard]] constexpr Index rows_of_chunk(Index cols) {
  return std::max(Index{1}, 32768 / std::max(Index{1}, cols));
}

/// Calls body(chunk, begin, end) for every run of rows_of_chunk rows.
template <class Body>
void for_each_chunk(Index rows, Index cols, const Body& body) {
  const Index run = rows_of_chunk(cols);
  share(ceil_div(rows, run), [&](Index task) { body(task, task * run, std::min(rows, (task + 1) * run)); });
}

}  // namespace graft::backends::simd
