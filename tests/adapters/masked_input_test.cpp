// SPDX-License-Identifier: Apache-2.0
#include <graft/adapters/masked_input.hpp>

#include "support/catch.hpp"
#include "support/tensors.hpp"

using namespace graft;

namespace {
/// The input of a pass over 4 rows of 3 numbers.
adapters::MaskedInput<double> masked_input(Arena& arena, bool keep, double rate) {
  adapters::MaskedInput<double> input;
  const Extent extent{.rows = 4, .lane_rows = 4, .keep = keep, .dropout = Random(5)};
  arena.measure();
  input.lay_out(arena, extent, rate, 3);
  arena.reserve();
  input.lay_out(arena, extent, rate, 3);
  return input;
}
}  // namespace

TEST_CASE("without dropout, or without a backward, the input is x itself and takes no memory") {
  const backends::Reference be;
  const auto x = test::normal<double>(4, 3, 1);
  for (const auto& [keep, rate] : {std::pair{true, 0.0}, std::pair{false, 0.5}}) {
    Arena arena;
    const auto input = masked_input(arena, keep, rate);
    CHECK(arena.peak() == 0);
    CHECK(input.of(be, {0, 4, 0, 0}, x.view()).data == x.data());
  }
}

TEST_CASE("what is pulled back went through the mask that the input did, whatever block it is met in") {
  const backends::Reference be;
  Arena arena;
  const auto input = masked_input(arena, true, 0.5);
  const auto ones = test::rows_of<double>({{1, 1, 1}, {1, 1, 1}, {1, 1, 1}, {1, 1, 1}});
  Tensor<double> mask(4, 3);
  be.copy(input.of(be, {0, 4, 0, 0}, ones.view()), mask.view());
  CHECK(test::largest(mask.view()) == 2);
  CHECK(be.squared_norm(mask.view()) < 4 * 12);  // some are dropped
  Tensor<double> pulled(4, 3);
  const auto u = test::rows_of<double>({{1}, {1}, {1}, {1}});
  const auto a = test::rows_of<double>({{1, 1, 1}});
  input.pull(be, {0, 1, 0, 0}, u.view().middle_rows(0, 1), a.view(), pulled.view().middle_rows(0, 1));
  input.pull(be, {1, 3, 0, 0}, u.view().middle_rows(1, 3), a.view(), pulled.view().middle_rows(1, 3));
  CHECK(test::identical(pulled.view(), mask.view()));
}
