// SPDX-License-Identifier: Apache-2.0
#include <graft/backends/cuda/resident_weight.hpp>

#include "support/catch.hpp"
#include "support/tensors.hpp"

using namespace graft;
TEST_CASE("a weight of an accelerator owns its numbers, whatever it is made of") {
  Tensor<float> wide = test::normal<float>(3, 7, 1);
  for (const Index cols : {Index{7}, Index{5}}) {  // without gaps between the rows, and with
    const View<const float> mapped = wide.view().middle_cols(0, cols);
    const backends::cuda::ResidentWeight<float> weight(mapped);
    CHECK(weight.view().data != mapped.data);
    CHECK(weight.view().contiguous());
    CHECK(test::identical(weight.view(), mapped));
  }
  Tensor<float> own = test::normal<float>(2, 2, 2);
  const float* const data = own.data();
  CHECK(backends::cuda::ResidentWeight<float>(std::move(own)).view().data == data);
  CHECK(backends::cuda::ResidentWeight<float>(View<const float>(nullptr, 0, 3)).rows() == 0);
}
