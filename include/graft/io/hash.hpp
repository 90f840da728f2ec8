// SPDX-License-Identifier: Apache-2.0
// fnv1a: a 64-bit hash that tells files and weights apart; no protection against somebody who wants them to collide.
// h <- (h xor byte) * 0x100000001b3, byte by byte. Fowler, Noll, Vo, FNV-1a.
#pragma once

#include <cstddef>  // byte
#include <cstdint>
#include <span>
#include <string>

namespace graft::io {

/// Continues `hash` over the bytes; without it a new hash starts.
[[nodiscard]] constexpr std::uint64_t fnv1a(std::span<const std::byte> bytes,
                                            std::uint64_t hash = 0xcbf29ce484222325u) {
  for (const std::byte byte : bytes) {
    hash = (hash ^ static_cast<std::uint64_t>(byte)) * 0x100000001b3u;
  }
  return hash;
}

/// Sixteen hexadecimal digits.
[[nodiscard]] inline std::string hash_text(std::uint64_t hash) {
  std::string text(16, '0');
  for (auto digit = text.rbegin(); digit != text.rend(); ++digit, hash >>= 4) {
    *digit = "0123456789abcdef"[hash & 15];
  }
  return text;
}

}  // namespace graft::io
