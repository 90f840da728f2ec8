// SPDX-License-Identifier: Apache-2.0
#include <graft/backend.hpp>
#include <graft/backends/gemm/onednn.hpp>
#include <graft/backends/simd.hpp>

#include "contracts/backend_contract.hpp"
#include "support/catch.hpp"

using namespace graft;

using Backend = backends::Simd<backends::OneDnn>;
static_assert(backend<Backend> && backend<Backend, bf16, float>);

TEST_CASE("Simd over oneDNN does what Reference specifies, on every instruction set of this machine") {
  Backend be;
  for (const backends::Isa isa : {backends::Isa::baseline, backends::Isa::avx2, backends::Isa::avx512}) {
    if (isa <= backends::best_isa()) {
      INFO("instruction set " << static_cast<int>(isa));
      be.isa = isa;
      test::check_backend(be);
    }
  }
}

TEST_CASE("the number of threads changes no bit of what Simd over oneDNN computes") {
  test::check_thread_independence(Backend{});
}
