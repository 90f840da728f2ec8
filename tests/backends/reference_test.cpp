// SPDX-License-Identifier: Apache-2.0
#include <graft/backends/reference.hpp>

#include "contracts/backend_contract.hpp"
#include "support/catch.hpp"

using namespace graft;

TEST_CASE("Reference in float and with bf16 weights keeps the contract that it specifies in double") {
  test::check_backend(backends::Reference{});
  test::check_thread_independence(backends::Reference{});
}

TEST_CASE("a segment visits every row once, in blocks of block_rows") {
  backends::Reference be;
  be.block_rows = 4;
  Tensor<float> visits(11, 1);
  be.for_each_block(11, [&](Block block) {
    CHECK(block.begin % 4 == 0);
    CHECK(block.rows == (block.begin == 8 ? 3 : 4));
    for (Index i = block.begin; i < block.begin + block.rows; ++i) {
      visits(i, 0) += 1.0f;
    }
  });
  for (Index i = 0; i < 11; ++i) {
    CHECK(visits(i, 0) == 1.0f);
  }
}

TEST_CASE("several blocks are an even number of nearly equal ones, whatever the number of lanes") {
  const backends::Reference be;
  CHECK(be.rows_of_block(1) == 128);
  CHECK(be.rows_of_block(128) == 128);
  CHECK(be.rows_of_block(892) == 112);  // 7 blocks of 128 would leave one of two lanes idle for the last
  CHECK(be.rows_of_block(1024) == 128);
  for (Index rows = 129; rows < 3000; rows += 7) {
    CHECK(be.rows_of_block(rows) <= 128);
    CHECK(be.rows_of_block(rows) % 16 == 0);
  }
}
