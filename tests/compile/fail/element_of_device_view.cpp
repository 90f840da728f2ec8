// expect: no match for call|no matching function for call
// SPDX-License-Identifier: Apache-2.0
#include <graft/core/view.hpp>

float reached(graft::View<float, graft::Device> view) { return view(0, 0); }
