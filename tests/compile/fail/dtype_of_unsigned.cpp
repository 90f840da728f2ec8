// expect: dtype_of: T is double, float, bf16, int64_t or int32_t
// SPDX-License-Identifier: Apache-2.0
#include <graft/io/dtype.hpp>

graft::io::Dtype unknown = graft::io::dtype_of<unsigned>();
