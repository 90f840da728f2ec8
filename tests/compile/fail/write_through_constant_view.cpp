// expect: read-only|cannot assign to return value
// SPDX-License-Identifier: Apache-2.0
#include <graft/core/view.hpp>

void write(graft::View<const float> weight) { weight(0, 0) = 1.0F; }
