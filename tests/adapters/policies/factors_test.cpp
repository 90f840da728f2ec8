// SPDX-License-Identifier: Apache-2.0
#include <graft/adapters/policies/factors.hpp>

#include "support/catch.hpp"
#include "support/files.hpp"

using namespace graft;
using adapters::policies::factor_rank;

namespace {
/// A factorization that draws nothing and looks at nothing.
struct Zeros {
  template <class S>
  static Factors<double> factors(View<const S> weight, Index rank, double, Random, const std::string&) {
    return {Tensor<double>(rank, weight.cols), Tensor<double>(weight.rows, rank)};
  }
};
}  // namespace

TEST_CASE("a start fills A, or gives both factors") {
  STATIC_REQUIRE(factorization<Zeros>);
  STATIC_REQUIRE(low_rank_start<Zeros>);
  STATIC_REQUIRE(low_rank_start<adapters::policies::Gaussian>);
  STATIC_REQUIRE_FALSE(factorization<adapters::policies::Gaussian>);
  STATIC_REQUIRE_FALSE(low_rank_start<int>);
}

TEST_CASE("a weight has factors of ranks from 1 to its smaller side") {
  CHECK(factor_rank(1, 4, 7, "q_proj") == 1);
  CHECK(factor_rank(4, 4, 7, "q_proj") == 4);
  const Error error = test::error_of([] { (void)factor_rank(5, 7, 4, "q_proj"); });
  CHECK(error.id() == "adapter.720");
  CHECK(test::says(error, "= 4; found 5"));
  CHECK(test::says(error, "[q_proj]"));
  CHECK(test::error_of([] { (void)factor_rank(0, 7, 4, ""); }).id() == "adapter.720");
}
