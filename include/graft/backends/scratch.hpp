// SPDX-License-Identifier: Apache-2.0
// scratch: memory of the calling thread that stays for the next call, so that operations allocate on first use only.
#pragma once

#include <algorithm>  // max

#include <graft/core/tensor.hpp>

namespace graft::backends {

/// Who uses it; different users may hold theirs at the same time.
enum class Purpose { scores, weight, operand, product, rows, sums, turned };

/// At least `count` numbers, 64-byte aligned, contents unspecified, valid until this thread asks for the same purpose again.
template <Purpose purpose, class T>
[[nodiscard]] T* scratch(Index count) {
  static thread_local Tensor<T> memory;
  if (memory.size() < count) {
    const Index grown = std::max(count, memory.size() + memory.size() / 2);
    memory = Tensor<T>();  // give the old memory back first
    memory = Tensor<T>(1, grown);
  }
  return memory.data();
}

/// x' in this thread's memory.
[[nodiscard]] inline View<const float> turned(View<const float> x) {
  const View<float> y(scratch<Purpose::turned, float>(x.size()), x.cols, x.rows);
  for (Index j = 0; j < y.rows; ++j) {
    float* const row = y.row(j);
    for (Index i = 0; i < y.cols; ++i) {
      row[i] = x(i, j);
    }
  }
  return y;
}

}  // namespace graft::backends
