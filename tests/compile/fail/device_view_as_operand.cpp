// expect: no matching function for call to
// SPDX-License-Identifier: Apache-2.0
#include <graft/ops/gemm.hpp>

void product(graft::View<float, graft::Device> a, graft::View<float> c) {
  graft::ops::gemm_nt(1, a, a, 0, c);
}
