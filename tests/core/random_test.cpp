// SPDX-License-Identifier: Apache-2.0
#include <graft/core/random.hpp>

#include <algorithm>
#include <vector>

#include "support/catch.hpp"

using namespace graft;
using Words = std::array<std::uint32_t, 4>;

TEST_CASE("philox gives the known answers of Random123") {  // its tests/kat_vectors, philox4x32 10
  CHECK(philox({0, 0, 0, 0}, {0, 0}) == Words{0x6627e8d5U, 0xe169c58dU, 0xbc57ac4cU, 0x9b00dbd8U});
  CHECK(philox({0xffffffffU, 0xffffffffU, 0xffffffffU, 0xffffffffU}, {0xffffffffU, 0xffffffffU}) ==
        Words{0x408f276dU, 0x41c83b0eU, 0xa20bc7c6U, 0x6d5451fdU});
  CHECK(philox({0x243f6a88U, 0x85a308d3U, 0x13198a2eU, 0x03707344U}, {0xa4093822U, 0x299f31d0U}) ==
        Words{0xd16cfe09U, 0x94fdccebU, 0x5001e420U, 0x24126ea1U});
}

TEST_CASE("random bits are the first words of philox at (index, stream) under the seed") {
  const std::uint64_t index = 0x85a308d3243f6a88U;
  const std::uint64_t stream = 0x0370734413198a2eU;
  const std::uint64_t seed = 0x299f31d0a4093822U;
  CHECK(Random(seed, stream).bits(index) == 0xd16cfe0994fdccebU);
  CHECK(Random(seed).stream(stream).bits(index) == 0xd16cfe0994fdccebU);
  STATIC_REQUIRE(Random(0).bits(0) == 0x6627e8d5e169c58dU);
}

TEST_CASE("uniform numbers lie in [0, 1) with the moments of the uniform law") {
  const Random random(1);
  const int count = 100000;
  double mean = 0;
  double square = 0;
  for (std::uint64_t i = 0; i < count; ++i) {
    const double u = random.uniform(i);
    REQUIRE((u >= 0 && u < 1));
    mean += u / count;
    square += u * u / count;
  }
  CHECK(std::abs(mean - 0.5) < 5 * std::sqrt(1.0 / 12 / count));
  CHECK(std::abs(square - 1.0 / 3) < 5 * std::sqrt(4.0 / 45 / count));
}

TEST_CASE("normal numbers have the moments and the tails of the normal law") {
  const Random random(2);
  const int count = 100000;
  std::array<double, 4> moments{};
  int beyond_two = 0;
  for (std::uint64_t i = 0; i < count; ++i) {
    const double x = random.normal(i);
    double power = 1;
    for (double& moment : moments) {
      power *= x;
      moment += power / count;
    }
    beyond_two += std::abs(x) > 2;
  }
  const double root = std::sqrt(1.0 / count);
  CHECK(std::abs(moments[0]) < 5 * root);  // variances of x, x^2, x^3, x^4: 1, 2, 15, 96
  CHECK(std::abs(moments[1] - 1) < 5 * std::sqrt(2.0) * root);
  CHECK(std::abs(moments[2]) < 5 * std::sqrt(15.0) * root);
  CHECK(std::abs(moments[3] - 3) < 5 * std::sqrt(96.0) * root);
  const double share = std::erfc(std::sqrt(2.0));  // P(|x| > 2)
  CHECK(std::abs(beyond_two / double{count} - share) < 5 * std::sqrt(share) * root);
}

TEST_CASE("streams and seeds are uncorrelated") {
  const int count = 20000;
  double across_streams = 0;
  double across_seeds = 0;
  double across_indices = 0;
  for (std::uint64_t i = 0; i < count; ++i) {
    across_streams += Random(3, 0).normal(i) * Random(3, 1).normal(i) / count;
    across_seeds += Random(3).normal(i) * Random(4).normal(i) / count;
    across_indices += Random(3).normal(i) * Random(3).normal(i + 1) / count;
  }
  const double bound = 5 * std::sqrt(1.0 / count);
  CHECK(std::abs(across_streams) < bound);
  CHECK(std::abs(across_seeds) < bound);
  CHECK(std::abs(across_indices) < bound);
}

TEST_CASE("a child is a generator of its own, at every depth") {
  const Random parent(6);
  CHECK(parent.child(1).bits(0) == parent.child(1).bits(0));
  CHECK(parent.child(1).bits(0) != parent.child(2).bits(0));
  CHECK(parent.child(1).bits(0) != parent.bits(0));
  CHECK(parent.child(1).child(2).bits(0) != parent.child(2).child(1).bits(0));
  const int count = 20000;
  double siblings = 0;
  for (std::uint64_t i = 0; i < count; ++i) {
    siblings += parent.child(1).normal(i) * parent.child(2).normal(i) / count;
  }
  CHECK(std::abs(siblings) < 5 * std::sqrt(1.0 / count));
}

TEST_CASE("below draws every integer under its bound about equally often") {
  const Random random(5);
  std::vector<int> seen(7, 0);
  const int count = 70000;
  for (std::uint64_t i = 0; i < count; ++i) {
    ++seen.at(random.below(i, 7));
  }
  const auto [least, most] = std::minmax_element(seen.begin(), seen.end());
  CHECK(*least > 10000 - 5 * 100);  // a standard deviation is under 100
  CHECK(*most < 10000 + 5 * 100);
  CHECK(random.below(0, 1) == 0);
}
