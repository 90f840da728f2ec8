// SPDX-License-Identifier: Apache-2.0
#include <graft/backends/cuda/queue.hpp>

#include "support/catch.hpp"
#include "support/host_queue.hpp"

using namespace graft;

TEST_CASE("outside of a burst every call is done when it returns; inside of one, when somebody waits") {
  const test::CudaOnHost be;
  Tensor<float> x(1, 4);
  be.fill(1, x.view());
  CHECK(x(0, 3) == 1.0f);
  {
    const auto outer = be.burst();
    be.fill(2, x.view());
    {
      const auto inner = be.burst();
      be.fill(3, x.view());
    }
    CHECK(x(0, 3) == 1.0f);
    be.finish();
    CHECK(x(0, 3) == 3.0f);
    be.fill(4, x.view());
    CHECK(x(0, 3) == 3.0f);
  }
  CHECK(x(0, 3) == 4.0f);
}

TEST_CASE("a list that was put lives until the kernels that read it have run") {
  const test::CudaOnHost be;
  Tensor<float> table(3, 1), out(2, 1);
  table(2, 0) = 5;
  const auto burst = be.burst();
  {
    const std::vector<Index> list = {2, 0};
    be.gather_rows(View<const float>(table.view()), std::span<const Index>(list), out.view());
  }
  be.finish();
  CHECK(out(0, 0) == 5.0f);
}
