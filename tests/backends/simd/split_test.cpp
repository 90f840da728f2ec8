// SPDX-License-Identifier: Apache-2.0
#include <graft/backends/simd/split.hpp>

#include <vector>

#include "support/catch.hpp"

using namespace graft;

TEST_CASE("panels, stripes and chunks cover every column or row once") {
  for (const Index extent : {0, 1, 63, 64, 65, 512, 513, 2000}) {
    std::vector<int> panels(static_cast<std::size_t>(extent));
    std::vector<int> stripes(panels);
    std::vector<int> chunks(panels);
    const auto count_into = [](std::vector<int>& visits) {
      return [&visits](Index begin, Index cols) {
        for (Index j = begin; j < begin + cols; ++j) {
          ++visits[static_cast<std::size_t>(j)];
        }
      };
    };
    backends::simd::for_each_panel(extent, 384, count_into(panels));
    backends::simd::for_each_stripe(extent, count_into(stripes));
    backends::simd::for_each_chunk(extent, 100, [&](Index chunk, Index begin, Index end) {
      CHECK(chunk == begin / backends::simd::rows_of_chunk(100));
      count_into(chunks)(begin, end - begin);
    });
    const std::vector<int> once(static_cast<std::size_t>(extent), 1);
    CHECK(panels == once);
    CHECK(stripes == once);
    CHECK(chunks == once);
  }
}

TEST_CASE("a chunk is at least a row, however wide") {
  CHECK(backends::simd::rows_of_chunk(1000000) == 1);
  CHECK(backends::simd::rows_of_chunk(0) == 32768);
}

TEST_CASE("a panel of bf16 is as wide as its depth lets it be, in whole groups of 64 columns") {
  using backends::simd::panel_cols_of_bf16;
  CHECK(panel_cols_of_bf16(1) == backends::simd::panel_cols);
  CHECK(panel_cols_of_bf16(576) == backends::simd::panel_cols);
  CHECK(panel_cols_of_bf16(1536) == 192);
  CHECK(panel_cols_of_bf16(50000) == 64);
  CHECK(panel_cols_of_bf16(0) == backends::simd::panel_cols);
}
