// SPDX-License-Identifier: Apache-2.0
// sha256: the digest of bytes, to compare big tensors with golden ones. FIPS 180-4; constants are the fractional parts of
// roots of primes, computed here.
#pragma once

#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace graft::test {

namespace detail {

/// The first 32 bits of the fractional parts of the `power`-th powers of the first primes.
template <std::size_t Count>
std::array<std::uint32_t, Count> prime_fractions(long double power) {
  std::array<std::uint32_t, Count> words{};
  std::size_t found = 0;
  for (int n = 2; found < Count; ++n) {
    bool prime = true;
    for (int d = 2; d * d <= n; ++d) {
      prime = prime && n % d != 0;
    }
    if (prime) {
      const long double root = std::pow(static_cast<long double>(n), power);
      words[found++] = static_cast<std::uint32_t>((root - std::floor(root)) * 4294967296.0L);
    }
  }
  return words;
}

inline void sha256_block(const std::byte* block, const std::array<std::uint32_t, 64>& k,
                         std::array<std::uint32_t, 8>& state) {
  std::array<std::uint32_t, 64> w{};
  for (std::size_t i = 0; i < 16; ++i) {
    for (std::size_t b = 0; b < 4; ++b) {
      w[i] = w[i] << 8 | std::to_integer<std::uint32_t>(block[4 * i + b]);
    }
  }
  for (std::size_t i = 16; i < 64; ++i) {
    const std::uint32_t s0 = std::rotr(w[i - 15], 7) ^ std::rotr(w[i - 15], 18) ^ w[i - 15] >> 3;
    const std::uint32_t s1 = std::rotr(w[i - 2], 17) ^ std::rotr(w[i - 2], 19) ^ w[i - 2] >> 10;
    w[i] = w[i - 16] + s0 + w[i - 7] + s1;
  }
  auto [a, b, c, d, e, f, g, h] = state;
  for (std::size_t i = 0; i < 64; ++i) {
    const std::uint32_t s1 = std::rotr(e, 6) ^ std::rotr(e, 11) ^ std::rotr(e, 25);
    const std::uint32_t t1 = h + s1 + ((e & f) ^ (~e & g)) + k[i] + w[i];
    const std::uint32_t s0 = std::rotr(a, 2) ^ std::rotr(a, 13) ^ std::rotr(a, 22);
    const std::uint32_t t2 = s0 + ((a & b) ^ (a & c) ^ (b & c));
    h = g;
    g = f;
    f = e;
    e = d + t1;
    d = c;
    c = b;
    b = a;
    a = t1 + t2;
  }
  const std::array<std::uint32_t, 8> added = {a, b, c, d, e, f, g, h};
  for (std::size_t i = 0; i < 8; ++i) {
    state[i] += added[i];
  }
}

}  // namespace detail

/// The digest in lower-case hexadecimal digits.
inline std::string sha256(std::span<const std::byte> bytes) {
  static const auto k = detail::prime_fractions<64>(1.0L / 3);
  auto state = detail::prime_fractions<8>(0.5L);
  const std::size_t whole = bytes.size() / 64 * 64;
  for (std::size_t i = 0; i < whole; i += 64) {
    detail::sha256_block(bytes.data() + i, k, state);
  }
  std::vector<std::byte> tail(bytes.begin() + static_cast<std::ptrdiff_t>(whole), bytes.end());
  tail.push_back(std::byte{0x80});
  while (tail.size() % 64 != 56) {
    tail.push_back(std::byte{0});
  }
  for (int shift = 56; shift >= 0; shift -= 8) {
    tail.push_back(static_cast<std::byte>((std::uint64_t{bytes.size()} * 8) >> shift));
  }
  for (std::size_t i = 0; i < tail.size(); i += 64) {
    detail::sha256_block(tail.data() + i, k, state);
  }
  std::string digits;
  for (const std::uint32_t word : state) {
    for (int shift = 28; shift >= 0; shift -= 4) {
      digits += "0123456789abcdef"[word >> shift & 15];
    }
  }
  return digits;
}

}  // namespace graft::test
