// SPDX-License-Identifier: Apache-2.0
#include <graft/backends/cuda/resident_weight.hpp>

#include "support/catch.hpp"
#include "support/tensors.hpp"

using namespace graft;
TEST_CASE("a weight of an accelerator has a copy of what is mapped, and of nothing else") {
  Tensor<float> wide = test::normal<float>(3, 7, 1);
  for (const Index cols : {Index{7}, Index{5}}) {  // without gaps between the rows, and with
    const View<const float> mapped = wide.view().middle_cols(0, cols);
    const backends::cuda::ResidentWeight<float> weight(mapped);
    CHECK(weight.view().data == mapped.data);
    CHECK(weight.resident().data != mapped.data);
    CHECK(weight.resident().contiguous());
    CHECK(test::identical(weight.resident(), mapped));
  }
  backends::cuda::ResidentWeight<float> trained(View<const float>(wide.view()));
  const View<float> numbers = trained.writable();
  numbers(0, 0) = 7;
  CHECK(trained.resident()(0, 0) == 7.0f);
  CHECK(wide(0, 0) != 7.0f);
  Tensor<float> own = test::normal<float>(2, 2, 2);
  const float* const data = own.data();
  CHECK(backends::cuda::ResidentWeight<float>(std::move(own)).resident().data == data);
  CHECK(backends::cuda::ResidentWeight<float>(View<const float>(nullptr, 0, 3)).rows() == 0);
}
