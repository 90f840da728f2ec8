// SPDX-License-Identifier: Apache-2.0
#include <graft/backends/cuda/lists.hpp>

#include <graft/backends/cuda/selections.cuh>

#include "support/catch.hpp"

using namespace graft;
namespace cuda = backends::cuda;

TEST_CASE("tiles cover every row of every span once, the last of each first") {
  const std::vector<ops::AttentionSpan> spans = {{0, 70, 0, 90}, {70, 0, 90, 4}, {70, 32, 94, 32}};
  const auto tiles = cuda::attention_tiles(spans, 32, &ops::AttentionSpan::query_rows);
  std::vector<Index> first;
  for (const cuda::AttentionTile& tile : tiles) {
    first.push_back(tile.first);
  }
  CHECK(first == std::vector<Index>{64, 32, 0, 0});
  CHECK(tiles.back().span.query_begin == 70);
  CHECK(cuda::attention_tiles(spans, 32, &ops::AttentionSpan::key_rows).size() == 5);
}

TEST_CASE("the first mention of an index leads to all others in their order") {
  const std::vector<Index> list = {4, 0, 4, 2, 4, 0};
  const auto next = cuda::next_mentions(std::span<const Index>(list), 6);
  const cuda::Mentions mentions{next.data()};
  const auto led_to = [&](Index i) {
    std::vector<Index> all;
    mentions.each(i, [&](Index at) { all.push_back(at); });
    return all;
  };
  CHECK(led_to(0) == std::vector<Index>{0, 2, 4});
  CHECK(led_to(1) == std::vector<Index>{1, 5});
  CHECK(led_to(3) == std::vector<Index>{3});
  for (const Index later : {2, 4, 5}) {
    CHECK(led_to(later).empty());
  }
}
