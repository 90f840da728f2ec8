// expect: no matching function for call to
// SPDX-License-Identifier: Apache-2.0
#include <graft/ops/elementwise.hpp>

void change(graft::View<const float> weight) {
  graft::ops::scale(2, weight);
}
