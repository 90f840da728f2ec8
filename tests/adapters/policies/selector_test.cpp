// SPDX-License-Identifier: Apache-2.0
#include <graft/adapters/policies/selector.hpp>

#include "support/catch.hpp"
#include "support/tensors.hpp"

using namespace graft;
using namespace graft::adapters::policies;
using Order = std::vector<std::int32_t>;

namespace {
constexpr backends::Reference be;
const Tensor<double> weight =  // methods.md D.6
    test::rows_of<double>({{4, 1, 0, 2}, {1, 3, 5, 0}, {0, 2, 1, 1}, {2, 0, 1, 6}, {1, 1, 0, 0}});
}  // namespace

TEST_CASE("pivoted QR takes the columns of W and, apart from them, the rows of W in LAPACK's order") {
  const Skeleton all = PivotedQr::select(be, weight.view(), 4, 4, Random(1), "w");
  CHECK(all.columns == Order{3, 2, 0, 1});
  CHECK(all.rows == Order{3, 1, 0, 2});
  const Skeleton some = PivotedQr::select(be, weight.view(), 3, 1, Random(1), "w");
  CHECK(some.columns == Order{3, 2, 0});
  CHECK(some.rows == Order{3});
}

TEST_CASE("two stages take the rows among the chosen columns") {
  const Skeleton two = TwoStagePivotedQr::select(be, weight.view(), 2, 2, Random(1), "w");
  CHECK(two.columns == Order{3, 2});
  CHECK(two.rows == Order{3, 1});
}
