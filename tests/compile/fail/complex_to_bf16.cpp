// expect: to: a complex number does not become a real one silently; use real_part
// SPDX-License-Identifier: Apache-2.0
#include <graft/core/scalar.hpp>

graft::bf16 lost = graft::to<graft::bf16>(std::complex<double>(1.0, 2.0));
