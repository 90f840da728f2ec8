// SPDX-License-Identifier: Apache-2.0
#include <graft/core/zeroed_memory.hpp>

#include <algorithm>
#include <cstddef>

#include "support/catch.hpp"

using namespace graft;

TEST_CASE("memory is aligned and zero, small and large, fresh and used before") {
  for (const std::size_t bytes : {std::size_t{1}, std::size_t{64}, std::size_t{4097}, std::size_t{5} << 20}) {
    for (int round = 0; round < 3; ++round) {
      auto* const memory = static_cast<std::byte*>(graft::detail::take_zeroed(bytes));
      CHECK(reinterpret_cast<std::uintptr_t>(memory) % alignment == 0);
      CHECK(std::all_of(memory, memory + bytes, [](std::byte b) { return b == std::byte{0}; }));
      std::fill(memory, memory + bytes, std::byte{0xff});
      graft::detail::give_back(memory);
    }
  }
}

TEST_CASE("more than there is throws, and nothing can be given back") {
  CHECK_THROWS_AS(graft::detail::take_zeroed(std::size_t{1} << 62), std::bad_alloc);
  graft::detail::give_back(nullptr);
}
