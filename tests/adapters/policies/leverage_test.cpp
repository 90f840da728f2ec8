// SPDX-License-Identifier: Apache-2.0
#include <graft/adapters/policies/leverage.hpp>

#include "support/catch.hpp"
#include "support/tensors.hpp"

using namespace graft;
using namespace graft::adapters::policies;

TEST_CASE("Leverage takes what the leading singular vectors lean on, however long the others are") {
  // Two singular vectors: column 1 with row 2 (10) and columns 0 and 3 with row 0 (5); row 1 holds what is left.
  const Tensor<double> w = test::rows_of<double>({{3, 0, 0, 4}, {0, 0, 1, 0}, {0, 10, 0, 0}});
  const Skeleton found = Leverage::select(backends::Reference{}, w.view(), 2, 2, Random(1), "w");
  CHECK(found.columns == std::vector<std::int32_t>{1, 3});  // scores 9/25, 1, 0, 16/25
  CHECK((found.rows == std::vector<std::int32_t>{0, 2} || found.rows == std::vector<std::int32_t>{2, 0}));
}
