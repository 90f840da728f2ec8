// expect: constraint
// SPDX-License-Identifier: Apache-2.0
#include <graft/core/precision.hpp>

graft::Uniform<int> precision;
