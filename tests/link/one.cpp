// SPDX-License-Identifier: Apache-2.0
// The first of two translation units that include everything; the second is two.cpp.
#include <graft/graft.hpp>

graft::Tensor<float> ones(graft::Index rows, graft::Index cols);

int main() { return ones(2, 3).view().size() == 6 ? 0 : 1; }
