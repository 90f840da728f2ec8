// SPDX-License-Identifier: Apache-2.0
// bf16 and f16: 16-bit floats that store numbers and never compute with them.
#pragma once

#include <bit>      // bit_cast
#include <cstdint>  // uint16_t, uint32_t

#include <graft/base/config.hpp>

namespace graft {

/// The upper half of an IEEE float: 8 exponent bits, 7 stored fraction bits. Rounds to nearest, ties to even; NaN stays NaN.
struct bf16 {
  std::uint16_t bits = 0;  ///< the upper 16 bits of a float

  bf16() = default;
  /// Explicit: a rounding is always spelled out.
  GRAFT_HD constexpr explicit bf16(float value) {
    const auto word = std::bit_cast<std::uint32_t>(value);
    const bool is_nan = (word & 0x7fffffffu) > 0x7f800000u;
    const std::uint32_t rounded = word + 0x7fffu + ((word >> 16) & 1u);
    bits = static_cast<std::uint16_t>(is_nan ? (word >> 16) | 0x40u : rounded >> 16);
  }
  /// Exact.
  GRAFT_HD constexpr explicit operator float() const { return std::bit_cast<float>(std::uint32_t{bits} << 16); }

  friend constexpr bool operator==(bf16, bf16) = default;
};

/// IEEE half precision: files hold it, graft converts it once. Rounds to nearest, ties to even; 65520 and more is infinity.
struct f16 {
  std::uint16_t bits = 0;  ///< sign, 5 exponent bits, 10 fraction bits

  f16() = default;
  /// Explicit: a rounding is always spelled out.
  GRAFT_HD constexpr explicit f16(float value) {
    const auto word = std::bit_cast<std::uint32_t>(value);
    const std::uint32_t magnitude = word & 0x7fffffffu;
    std::uint32_t half = 0x7c00u;
    if (magnitude > 0x7f800000u) {
      half = 0x7e00u | ((magnitude >> 13) & 0x3ffu);
    } else if (magnitude <
               0x38800000u) {  // below 2^-14: beside 0.5 a float counts in units of 2^-24, and rounds for us
      half = std::bit_cast<std::uint32_t>(std::bit_cast<float>(magnitude) + 0.5f) - 0x3f000000u;
    } else if (magnitude < 0x477ff000u) {  // rebias the exponent by 15 - 127; a carry out of the fraction is right
      const std::uint32_t rebiased = magnitude - (112u << 23);
      half = (rebiased + 0xfffu + ((rebiased >> 13) & 1u)) >> 13;
    }
    bits = static_cast<std::uint16_t>(((word >> 16) & 0x8000u) | half);
  }
  /// Exact, for subnormals, infinities and NaN too.
  GRAFT_HD constexpr explicit operator float() const {
    const std::uint32_t sign = std::uint32_t{bits & 0x8000u} << 16;
    const std::uint32_t magnitude = bits & 0x7fffu;
    if (magnitude >= 0x7c00u) {  // infinity and NaN keep their fraction
      return std::bit_cast<float>(sign | 0x7f800000u | ((magnitude & 0x3ffu) << 13));
    }
    if (magnitude >= 0x0400u) {  // normal: rebias the exponent by 127 - 15
      return std::bit_cast<float>(sign | ((magnitude << 13) + (112u << 23)));
    }
    const float subnormal = static_cast<float>(magnitude) * 0x1p-24f;
    return std::bit_cast<float>(sign | std::bit_cast<std::uint32_t>(subnormal));
  }

  friend constexpr bool operator==(f16, f16) = default;
};

}  // namespace graft
