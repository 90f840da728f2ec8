// SPDX-License-Identifier: Apache-2.0
#include <graft/core/bf16.hpp>

#include <cmath>
#include <cstring>
#include <limits>

#include "support/catch.hpp"

using namespace graft;

namespace {
constexpr float rounded(float value) {
  return static_cast<float>(bf16(value));
}
bf16 of_bits(unsigned bits) {
  bf16 value;
  value.bits = static_cast<std::uint16_t>(bits);
  return value;
}
/// IEEE half by its definition: (-1)^s 2^(e-15) (1 + f/1024), or 2^-14 f/1024 for e = 0.
double half_value(unsigned bits) {
  const int exponent = static_cast<int>((bits >> 10) & 31U);
  const double fraction = static_cast<double>(bits & 1023U) / 1024;
  const double magnitude = exponent == 0 ? std::ldexp(fraction, -14) : std::ldexp(1 + fraction, exponent - 15);
  return (bits & 0x8000U) != 0 ? -magnitude : magnitude;
}
}  // namespace

TEST_CASE("every bf16 comes back from float with the same bits, a NaN as a quiet NaN") {
  unsigned wrong = 0;
  for (unsigned bits = 0; bits < 65536; ++bits) {
    const auto value = static_cast<float>(of_bits(bits));
    const bf16 back(value);
    wrong += std::isnan(value) ? back.bits != (bits | 0x40U) : back.bits != bits;
  }
  CHECK(wrong == 0);
}

TEST_CASE("bf16 rounds to the nearest, and ties to the even neighbour") {
  CHECK(rounded(1.0F + 1.0F / 256) == 1.0F);               // halfway to 1 + 1/128: the even one is below
  CHECK(rounded(1.0F + 3.0F / 256) == 1.0F + 2.0F / 128);  // halfway: the even one is above
  CHECK(rounded(std::nextafter(1.0F + 1.0F / 256, 2.0F)) == 1.0F + 1.0F / 128);
  CHECK(rounded(std::nextafter(1.0F + 3.0F / 256, 0.0F)) == 1.0F + 1.0F / 128);
  CHECK(rounded(-1.0F - 1.0F / 256) == -1.0F);
}

TEST_CASE("every float between two neighbouring bf16 goes to the nearer one") {
  unsigned wrong = 0;
  for (unsigned bits = 0; bits < 0x7f7fU; ++bits) {  // every finite positive one but the last
    const auto below = static_cast<double>(static_cast<float>(of_bits(bits)));
    const auto above = static_cast<double>(static_cast<float>(of_bits(bits + 1)));
    wrong += bf16(static_cast<float>(below + 0.375 * (above - below))).bits != bits;
    wrong += bf16(static_cast<float>(below + 0.625 * (above - below))).bits != bits + 1;
    wrong += bf16(static_cast<float>(below + 0.5 * (above - below))).bits != bits + (bits & 1U);
  }
  CHECK(wrong == 0);
}

TEST_CASE("bf16 keeps infinities, zeros and NaN, and overflows to infinity") {
  const float infinity = std::numeric_limits<float>::infinity();
  CHECK(rounded(infinity) == infinity);
  CHECK(rounded(-infinity) == -infinity);
  CHECK(rounded(std::numeric_limits<float>::max()) == infinity);
  CHECK(std::signbit(rounded(-0.0F)));
  CHECK(bf16().bits == 0);
  const float payloads[] = {std::numeric_limits<float>::quiet_NaN(), std::bit_cast<float>(0x7f800001U),
                            std::bit_cast<float>(0xffffffffU)};  // the last two would round to infinity or zero
  for (const float nan : payloads) {
    CHECK(std::isnan(rounded(nan)));
  }
}

TEST_CASE("bf16 converts at compile time and compares its bits") {
  STATIC_REQUIRE(rounded(1.00390625F) == 1.0F);
  STATIC_REQUIRE(bf16(2.0F) == bf16(2.0F));
  STATIC_REQUIRE(bf16(2.0F) != bf16(-2.0F));
}

TEST_CASE("all 65536 halves decode to their definition") {
  unsigned wrong = 0;
  for (unsigned bits = 0; bits < 65536; ++bits) {
    f16 half;
    half.bits = static_cast<std::uint16_t>(bits);
    const auto value = static_cast<float>(half);
    if ((bits & 0x7fffU) > 0x7c00U) {
      wrong += !std::isnan(value);
    } else if ((bits & 0x7fffU) == 0x7c00U) {
      wrong += !std::isinf(value) || std::signbit(value) != (bits > 0x7fffU);
    } else {
      wrong += static_cast<double>(value) != half_value(bits) || std::signbit(value) != (bits > 0x7fffU);
    }
  }
  CHECK(wrong == 0);
}

TEST_CASE("every half comes back from float with the same bits, a NaN as a quiet NaN") {
  unsigned wrong = 0;
  for (unsigned bits = 0; bits < 65536; ++bits) {
    f16 half;
    half.bits = static_cast<std::uint16_t>(bits);
    const auto value = static_cast<float>(half);
    wrong += f16(value).bits != (std::isnan(value) ? bits | 0x200U : bits);
  }
  CHECK(wrong == 0);
}

TEST_CASE("every float between two neighbouring halves goes to the nearer one, a tie to the even one") {
  unsigned wrong = 0;
  for (unsigned bits = 0; bits < 0x7bffU; ++bits) {  // every finite positive one but the last
    const double below = half_value(bits);
    const double above = half_value(bits + 1);
    wrong += f16(static_cast<float>(below + 0.375 * (above - below))).bits != bits;
    wrong += f16(static_cast<float>(below + 0.625 * (above - below))).bits != bits + 1;
    wrong += f16(static_cast<float>(below + 0.5 * (above - below))).bits != bits + (bits & 1U);
  }
  CHECK(wrong == 0);
  CHECK(f16(65519.0F).bits == 0x7bffU);
  CHECK(f16(65520.0F).bits == 0x7c00U);
  CHECK(f16(-1e30F).bits == 0xfc00U);
  CHECK(f16(1e-30F).bits == 0);
}
