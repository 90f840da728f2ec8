// SPDX-License-Identifier: Apache-2.0
#include <graft/adapters/policies/baseline_selectors.hpp>

#include <algorithm>
#include <cmath>
#include <set>

#include "support/catch.hpp"
#include "support/tensors.hpp"

using namespace graft;
using namespace graft::adapters::policies;

namespace {
constexpr backends::Reference plain;
const Tensor<double> uneven =  // squared norms of rows 0, 25, 9, 4, 9; of columns 29, 9, 9
    test::rows_of<double>({{0, 0, 0}, {5, 0, 0}, {0, 3, 0}, {2, 0, 0}, {0, 0, 3}});
using Indices = std::vector<std::int32_t>;
}  // namespace

TEST_CASE("LargestNorm takes rows and columns by falling norm, the first of equals") {
  const Skeleton found = LargestNorm::select(plain, uneven.view(), 3, 3, Random(1), "w");
  CHECK(found.columns == Indices{0, 1, 2});
  CHECK(found.rows == Indices{1, 2, 4});
}

TEST_CASE("AtRandom takes different indices, each about as often as any other, and the same ones of a seed") {
  std::vector<Index> taken(5);
  constexpr Index draws = 4000;
  for (std::uint64_t seed = 0; seed < draws; ++seed) {
    const Skeleton found = AtRandom::select(plain, uneven.view(), 2, 3, Random(seed), "w");
    CHECK(std::set<std::int32_t>(found.columns.begin(), found.columns.end()).size() == 2);
    CHECK(std::set<std::int32_t>(found.rows.begin(), found.rows.end()).size() == 3);
    for (const std::int32_t row : found.rows) {
      ++taken[static_cast<std::size_t>(row)];
    }
  }
  const double expected = draws * 3.0 / 5.0;
  for (const Index count : taken) {
    CHECK(std::abs(static_cast<double>(count) - expected) < 5 * std::sqrt(expected * 0.4));  // 5 standard deviations
  }
  CHECK(AtRandom::select(plain, uneven.view(), 2, 3, Random(7), "w").rows ==
        AtRandom::select(plain, uneven.view(), 2, 3, Random(7), "w").rows);
}

TEST_CASE("LowNorm draws again what it has drawn, small norms most often, as its probabilities say") {
  const std::vector<double> q = LowNorm::probabilities({0, 25, 9, 4, 9});
  double sum = 0;
  for (const double one : q) {
    sum += one;
  }
  CHECK(std::abs(sum - 1) < 1e-15);
  CHECK(std::abs(q[1] / q[0] - 0.001 / (25.0 / 47 + 0.001)) < 1e-15);
  std::vector<Index> taken(5);
  constexpr Index draws = 20000;
  const Skeleton found = LowNorm::select(plain, uneven.view(), 1, draws, Random(3), "w");
  for (const std::int32_t row : found.rows) {
    ++taken[static_cast<std::size_t>(row)];
  }
  for (std::size_t i = 0; i < taken.size(); ++i) {
    const double expected = draws * q[i];
    CHECK(std::abs(static_cast<double>(taken[i]) - expected) < 5 * std::sqrt(expected) + 1);
  }
  STATIC_REQUIRE(draws_with_replacement<LowNorm>);
  STATIC_REQUIRE(!draws_with_replacement<AtRandom>);
}
