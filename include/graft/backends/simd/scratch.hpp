// SPDX-License-Identifier: Apache-2.0
// scratch: memory of the calling thread that stays for the next call, so that operations allocate on first use only.
#pragma once

#include <algorithm>  // max

#include <graft/core/tensor.hpp>

namespace graft::backends::simd {

/// Who uses it; different users may hold theirs at the same time.
enum class Purpose { scores, weight, operand, rows, sums };

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

}  // namespace graft::backends::simd
