// expect: use of deleted function|call to (implicitly-)?deleted|implicitly deleted
// SPDX-License-Identifier: Apache-2.0
#include <graft/core/tensor.hpp>

graft::Tensor<float> twice(const graft::Tensor<float>& tensor) {
  return tensor;
}
