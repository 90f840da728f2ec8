// SPDX-License-Identifier: Apache-2.0
// memory: where numbers lie: in the processor's own memory; in memory that an accelerator reaches as well, for tensors; or in
// memory that only a backend reaches, for what no one else looks at. A program that computes on an accelerator makes its backend
// first: all memory taken after that is of its kind.
#pragma once

#include <cstddef>
#include <cstring>  // memcpy
#include <memory>   // unique_ptr
#include <utility>  // exchange

#include <graft/core/zeroed_memory.hpp>

namespace graft {

/// A kind of memory. Blocks begin at a multiple of `alignment` and hold zeros; giving one back waits for whoever may be at
/// work in it, and null is nothing.
struct Memory {
  void* (*take)(std::size_t bytes);                             ///< that the processor reaches, too; or throws
  void (*give_back)(void* block);                               ///< what take() gave
  void* (*take_private)(std::size_t bytes);                     ///< that perhaps only the backend reaches; or throws
  void (*give_back_private)(void* block);                       ///< what take_private() gave
  void (*fill)(void* to, const void* from, std::size_t bytes);  ///< from memory of any kind to memory of any kind
};

/// The processor's.
inline constexpr Memory host_memory{
    detail::take_zeroed, detail::give_back, detail::take_zeroed, detail::give_back,
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

/// A block that perhaps only the backend reaches.
class PrivateBlock {
 public:
  PrivateBlock() = default;
  /// Of so many bytes, in the memory() in use.
  explicit PrivateBlock(std::size_t bytes) : bytes_(bytes) {
    const Memory& source = memory();
    block_ = {bytes > 0 ? source.take_private(bytes) : nullptr, GiveBack{&source}};
  }
  [[nodiscard]] void* data() const { return block_.get(); }               ///< null where empty
  [[nodiscard]] std::size_t size() const { return block_ ? bytes_ : 0; }  ///< in bytes

 private:
  struct GiveBack {
    const Memory* source;
    void operator()(void* block) const { source->give_back_private(block); }
  };
  std::unique_ptr<void, GiveBack> block_;
  std::size_t bytes_ = 0;
};

}  // namespace graft
