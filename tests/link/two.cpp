// SPDX-License-Identifier: Apache-2.0
// The second of two translation units that include everything.
#include <graft/graft.hpp>

graft::Tensor<float> ones(graft::Index rows, graft::Index cols) {
  graft::Tensor<float> tensor(rows, cols);
  for (graft::Index i = 0; i < rows; ++i) {
    for (graft::Index j = 0; j < cols; ++j) {
      tensor(i, j) = 1.0F;
    }
  }
  return tensor;
}
