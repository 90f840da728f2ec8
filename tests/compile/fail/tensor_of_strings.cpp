// expect: Tensor: elements are plain numbers
// SPDX-License-Identifier: Apache-2.0
#include <graft/core/tensor.hpp>

#include <string>

graft::Tensor<std::string> names(1, 1);
