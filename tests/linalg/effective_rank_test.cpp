// SPDX-License-Identifier: Apache-2.0
#include <graft/linalg/effective_rank.hpp>

#include <cmath>
#include <vector>

#include "support/catch.hpp"

using namespace graft;

TEST_CASE("equal singular values count one each whatever their scale, a lone one counts one, none counts none",
          "[linalg]") {
  const auto rank = [](const std::vector<double>& s) { return linalg::effective_rank(s); };
  CHECK(std::abs(rank({2, 2, 2}) - 3) < 1e-14);
  CHECK(std::abs(rank({1e-9, 1e-9, 0, 0}) - 2) < 1e-14);
  CHECK(rank({5, 0}) == 1);
  CHECK(rank({0, 0}) == 0);
  CHECK(rank({}) == 0);
}

TEST_CASE("unequal singular values count less than their number, as their entropy says", "[linalg]") {
  const std::vector<double> s = {3, 1};
  CHECK(std::abs(linalg::effective_rank(s) - std::exp(std::log(4.0) - 0.75 * std::log(3.0))) < 1e-14);
}
