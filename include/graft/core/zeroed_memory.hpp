// SPDX-License-Identifier: Apache-2.0
// zeroed_memory: aligned memory of zeros that nobody has touched yet: the system gives zero pages, so the threads that fill a
// block bring its pages in, not the one that asked for it. Large blocks may lie in large pages.
#pragma once

#include <cstddef>
#include <cstdint>  // uintptr_t
#include <cstdlib>  // calloc, free
#include <cstring>  // memcpy
#include <new>      // bad_alloc

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace graft {

/// Alignment of everything that graft allocates: a cache line, and a register of AVX-512.
inline constexpr std::size_t alignment = 64;

namespace detail {

inline constexpr std::size_t page = 4096;
inline constexpr std::size_t large_page = std::size_t{1} << 21;

/// Fewer page faults while weights are decoded and the arena is first used.
inline void ask_for_large_pages([[maybe_unused]] void* memory, [[maybe_unused]] std::size_t bytes) {
#if defined(__linux__) && defined(MADV_HUGEPAGE)
  if (bytes >= large_page) {
    const auto begin = (reinterpret_cast<std::uintptr_t>(memory) + page - 1) / page * page;
    const auto end = (reinterpret_cast<std::uintptr_t>(memory) + bytes) / page * page;
    ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE);  // a wish: its refusal changes nothing
  }
#endif
}

/// `bytes` zeros at a multiple of `alignment`; what malloc gave is noted in front of them.
[[nodiscard]] inline void* take_zeroed(std::size_t bytes) {
  void* const block = std::calloc(bytes + alignment, 1);
  if (block == nullptr) {
    throw std::bad_alloc();
  }
  const auto begin = (reinterpret_cast<std::uintptr_t>(block) + alignment) / alignment * alignment;
  static_assert(alignof(std::max_align_t) >= sizeof(void*));  // so there is room for the note
  auto* const memory = reinterpret_cast<void*>(begin);
  std::memcpy(static_cast<std::byte*>(memory) - sizeof block, &block, sizeof block);
  ask_for_large_pages(memory, bytes);
  return memory;
}

inline void give_back(void* memory) {
  if (memory != nullptr) {
    void* block = nullptr;
    std::memcpy(&block, static_cast<std::byte*>(memory) - sizeof block, sizeof block);
    std::free(block);
  }
}

}  // namespace detail
}  // namespace graft
