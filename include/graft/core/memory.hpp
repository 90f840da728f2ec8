// SPDX-License-Identifier: Apache-2.0
// memory: where tensors keep their numbers: the processor's own memory, or memory that an accelerator reaches as well. A
// program that computes on an accelerator makes its backend first; every tensor made after that lies where both reach it.
#pragma once

#include <cstddef>
#include <cstring>  // memcpy
#include <utility>  // exchange

#include <graft/core/zeroed_memory.hpp>

namespace graft {

/// A kind of memory. The processor reaches all of it; who else does is its own affair.
struct Memory {
  void* (*take)(std::size_t bytes);                              ///< zeros at a multiple of `alignment`, or throws
  void (*give_back)(void* block);  ///< what take() gave, null is nothing; waits for whoever may be at work in it
  void (*fill)(void* to, const void* from, std::size_t bytes);  ///< from memory of any kind
};

/// The processor's.
inline constexpr Memory host_memory{
    detail::take_zeroed, detail::give_back,
    [](void* to, const void* from, std::size_t bytes) { std::memcpy(to, from, bytes); }};

namespace detail {
[[nodiscard]] inline const Memory*& memory_in_use() {
  static const Memory* memory = &host_memory;
  return memory;
}
}  // namespace detail

/// What new tensors take.
[[nodiscard]] inline const Memory& memory() {
  return *detail::memory_in_use();
}
/// New tensors take this from now on; tensors remember whose they are. It lives as long as the program. Gives what was in use.
inline const Memory& use_memory(const Memory& next) {
  return *std::exchange(detail::memory_in_use(), &next);
}

}  // namespace graft
