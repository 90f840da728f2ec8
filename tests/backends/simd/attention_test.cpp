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
      for (const Index count : {1, 10, 32}) {
        for (Index begin = tile.lo; begin < tile.hi; begin += count) {
          for (Index i = 0; i < 8; ++i) {
            CAPTURE(window, sinks, begin, count, i);
            const Visible seen = tile.seen_by(shape, i, begin, count);
            CHECK((0 <= seen.sinks && seen.sinks <= seen.first && seen.first <= seen.end && seen.end <= count));
            for (Index column = 0; column < count && begin + column < span.key_rows; ++column) {
              const bool visible = column < seen.sinks || (column >= seen.first && column < seen.end);
              CHECK(visible == ops::attends(shape, span, 5 + i, begin + column));
            }
          }
        }
      }
    }
  }
}
