// SPDX-License-Identifier: Apache-2.0
#include <graft/linalg/orthonormal.hpp>

#include <limits>

#include <graft/core/tensor.hpp>

#include "support/catch.hpp"

using namespace graft;

TEST_CASE("orthonormality_error is the largest entry of R R^T - I", "[linalg]") {
  Tensor<double> r(2, 3);
  r(0, 0) = 1;
  r(1, 1) = 1;
  CHECK(linalg::orthonormality_error(r.view()) == 0);
  r(1, 0) = -0.25;
  CHECK(linalg::orthonormality_error(r.view()) == 0.25);
  r(0, 2) = 1;
  CHECK(linalg::orthonormality_error(r.view()) == 1);
  r(0, 2) = std::numeric_limits<double>::quiet_NaN();
  CHECK(!(linalg::orthonormality_error(r.view()) < 1));
}
