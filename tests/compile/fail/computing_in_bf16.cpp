// expect: constraint
// SPDX-License-Identifier: Apache-2.0
#include <graft/core/precision.hpp>

graft::Mixed<graft::bf16, graft::bf16> precision;
