// SPDX-License-Identifier: Apache-2.0
#include <graft/backends/simd/attention.hpp>

#include "support/catch.hpp"

using namespace graft;
using backends::simd::Tile;
using backends::simd::Visible;

TEST_CASE("the columns that a row of a tile sees are those of the specification") {
  for (const Index window : {0, 1, 4, 100}) {
    for (const Index sinks : {0, 2, 9, 50}) {
      const ops::AttentionShape shape{1, 1, 4, 1.0, window, sinks};
      const ops::AttentionSpan span{0, 20, 0, 32};
      const Tile tile(shape, 8, 12 + 5, 1);  // queries 5 .. 13 of the span
      for (Index i = 0; i < 8; ++i) {
        const Visible seen = tile.seen_by(shape, i);
        CHECK(seen.sinks <= seen.first);
        CHECK(seen.first < seen.end);
        CHECK(seen.end <= tile.keys());
        for (Index j = 0; j < span.key_rows; ++j) {
          const Index column = j - tile.lo;
          const bool visible = column >= 0 && (column < seen.sinks || (column >= seen.first && column < seen.end));
          CHECK(visible == ops::attends(shape, span, 5 + i, j));
        }
      }
    }
  }
}
