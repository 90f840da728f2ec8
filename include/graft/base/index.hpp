// SPDX-License-Identifier: Apache-2.0
// Index: the signed integer that counts rows, columns and tokens everywhere.
#pragma once

#include <cstddef>  // ptrdiff_t

namespace graft {

/// Signed, so that differences and downward loops need no care.
using Index = std::ptrdiff_t;

/// A rank that is chosen at run time: `Lora<>` is `Lora<dynamic>`.
inline constexpr Index dynamic = -1;

/// Smallest q with q * b >= a, for a >= 0 and b > 0.
[[nodiscard]] constexpr Index ceil_div(Index a, Index b) {
  return (a + b - 1) / b;
}

/// a rounded up to a multiple of b.
[[nodiscard]] constexpr Index round_up(Index a, Index b) {
  return ceil_div(a, b) * b;
}

}  // namespace graft
