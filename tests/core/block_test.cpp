// SPDX-License-Identifier: Apache-2.0
#include <graft/core/block.hpp>

#include "support/catch.hpp"
#include "support/tensors.hpp"

using namespace graft;

namespace {
/// A matrix whose every element is the number of its row.
Tensor<float> numbered(Index rows) {
  Tensor<float> x(rows, 2);
  for (Index i = 0; i < rows; ++i) {
    x(i, 0) = x(i, 1) = static_cast<float>(i);
  }
  return x;
}
}  // namespace

TEST_CASE("a wide slab holds a block's rows where the batch has them") {
  auto memory = numbered(20);
  const Slab<float> slab{memory.view(), 0};
  const View<float> rows = slab.at({8, 4, 1, 0});
  CHECK((rows.rows == 4 && rows(0, 0) == 8.0F && rows(3, 1) == 11.0F));
  CHECK(slab.wide().rows == 20);
}

TEST_CASE("a lane's slab holds a block's rows where that lane has its own") {
  auto memory = numbered(12);  // three lanes of four rows
  const Slab<float> slab{memory.view(), 4};
  CHECK(slab.at({100, 4, 2, 0})(0, 0) == 8.0F);
  CHECK(slab.at({100, 2, 1, 0}).rows == 2);
  CHECK(slab.at({100, 2, 1, 0})(1, 0) == 5.0F);
  CHECK_THROWS_WITH(slab.wide(), "shape.111: Slab: a lane's scratch has no rows beyond its block");
}

TEST_CASE("a part of a block means the same rows in wide and lane memory") {
  const Block block{8, 4, 1, 0};
  const Block part = block.part({9, 100});
  CHECK((part.begin == 9 && part.rows == 3 && part.lane == 1 && part.offset == 1));
  auto wide = numbered(20);
  auto lane = numbered(12);
  const View<float> whole_lane = Slab<float>{lane.view(), 4}.at(block);
  const View<float> part_lane = Slab<float>{lane.view(), 4}.at(part);
  CHECK(Slab<float>{wide.view(), 0}.at(part)(0, 0) == 9.0F);
  CHECK(part_lane(0, 0) == whole_lane(1, 0));
  CHECK(part.part({10, 1}).offset == 2);  // parts of parts count from the lane's block still
  CHECK(Slab<float>{lane.view(), 4}.at(part.part({10, 1}))(0, 0) == whole_lane(2, 0));
}

TEST_CASE("a part that misses the block has no rows") {
  const Block block{8, 4, 1, 0};
  CHECK(block.part({0, 8}).rows == 0);
  CHECK(block.part({12, 3}).rows == 0);
}
