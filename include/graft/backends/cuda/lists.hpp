// SPDX-License-Identifier: Apache-2.0
// lists: what the processor writes down for a kernel before it is sent: which tiles an attention has, and where an index list
// names a place again.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <graft/backends/cuda/attention.cuh>
#include <graft/base/index.hpp>

namespace graft::backends::cuda {

/// The tiles of `side` rows of all spans, those of each from its end: the last queries see most, and start first.
[[nodiscard]] inline std::vector<AttentionTile> attention_tiles(std::span<const ops::AttentionSpan> spans, Index side,
                                                                Index ops::AttentionSpan::*rows) {
  std::vector<AttentionTile> tiles;
  for (const ops::AttentionSpan& span : spans) {
    for (Index n = ceil_div(span.*rows, side) - 1; n >= 0; --n) {
      tiles.push_back({span, n * side});
    }
  }
  return tiles;
}

/// Mentions::next of a list whose indices are below `extent`: the following mention of list[i], 0 at the last one, and that
/// subtracted from -1 where i is not the first.
template <class I>
[[nodiscard]] std::vector<std::int32_t> next_mentions(std::span<const I> list, Index extent) {
  std::vector<std::int32_t> last(static_cast<std::size_t>(extent), -1);
  std::vector<std::int32_t> next(list.size(), 0);
  for (std::size_t i = 0; i < list.size(); ++i) {
    std::int32_t& before = last[static_cast<std::size_t>(list[i])];
    if (before >= 0) {
      std::int32_t& link = next[static_cast<std::size_t>(before)];
      link += link < 0 ? -static_cast<std::int32_t>(i) : static_cast<std::int32_t>(i);
      next[i] = -1;
    }
    before = static_cast<std::int32_t>(i);
  }
  return next;
}

}  // namespace graft::backends::cuda
