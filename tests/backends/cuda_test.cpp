// SPDX-License-Identifier: Apache-2.0
#include <graft/backend.hpp>
#include <graft/backends/cuda.hpp>

#include "contracts/backend_contract.hpp"
#include "support/catch.hpp"
#include "support/host_queue.hpp"

using namespace graft;

static_assert(backend<test::CudaOnHost> && backend<test::CudaOnHost, bf16, float>);
static_assert(backend<backends::Cuda> && backend<backends::Cuda, bf16, float>);

TEST_CASE("the kernels of the CUDA backend do what Reference specifies, run on the processor") {
  test::check_backend(test::CudaOnHost());
}
