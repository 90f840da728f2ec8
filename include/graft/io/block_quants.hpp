// SPDX-License-Identifier: Apache-2.0
// block_quants: GGML's codings of numbers in blocks of 32.
//
//     Q8_0  x = d q          d, 32 bytes with sign            Q4_0    x = d (q - 8)     d, 16 bytes of nibbles
//     Q5_0  x = d (q - 16)   d, 32 high bits, nibbles         Q4_1    x = d q + m       d, m, nibbles
//     Q5_1  x = d q + m      d, m, 32 high bits, nibbles      IQ4_NL  x = d table[q]    d, nibbles
//
// d and m are half precision. Number j is the low nibble of byte j for j < 16, the high nibble of byte j - 16 above, its
// fifth bit the j-th of the high ones. d q is exact in float (11 x 8 bits), so a fused multiply-add gives the same bits.
// Source: github.com/ggml-org/ggml, ggml-common.h and gguf-py.
#pragma once

#include <array>
#include <cstddef>  // byte
#include <cstdint>

#include <graft/core/scalar.hpp>
#include <graft/io/tensor_ref.hpp>

namespace graft::io::detail {

template <storable T>
void decode_q8_0(const std::byte* from, Index count, T* out) {
  for (; count > 0; count -= 32, from += 34, out += 32) {
    const auto d = static_cast<float>(load<f16>(from));
    for (Index j = 0; j < 32; ++j) {
      out[j] = to<T>(d * static_cast<float>(static_cast<std::int8_t>(from[2 + j])));
    }
  }
}

/// Sixteen bytes of two nibbles, and a fifth bit each: out[j] = d (q - shift) + m.
template <storable T>
void decode_nibbles(const std::byte* from, std::uint32_t high, float d, int shift, float m, T* out) {
  const auto bytes =
      load<std::array<std::uint8_t, 16>>(from);  // a copy cannot alias `out`: the loops become vector code
  for (std::uint32_t j = 0; j < 16; ++j) {
    const auto fifth = static_cast<int>(high >> j & 1) << 4;
    out[j] = to<T>(d * static_cast<float>((bytes[j] & 15) + fifth - shift) + m);
  }
  for (std::uint32_t j = 0; j < 16; ++j) {
    const auto fifth = static_cast<int>(high >> (j + 16) & 1) << 4;
    out[j + 16] = to<T>(d * static_cast<float>((bytes[j] >> 4) + fifth - shift) + m);
  }
}

template <storable T>
void decode_q4_0(const std::byte* from, Index count, T* out) {
  for (; count > 0; count -= 32, from += 18, out += 32) {
    decode_nibbles(from + 2, 0, static_cast<float>(load<f16>(from)), 8, 0.0f, out);
  }
}

template <storable T>
void decode_q4_1(const std::byte* from, Index count, T* out) {
  for (; count > 0; count -= 32, from += 20, out += 32) {
    decode_nibbles(from + 4, 0, static_cast<float>(load<f16>(from)), 0, static_cast<float>(load<f16>(from + 2)), out);
  }
}

template <storable T>
void decode_q5_0(const std::byte* from, Index count, T* out) {
  for (; count > 0; count -= 32, from += 22, out += 32) {
    decode_nibbles(from + 6, load<std::uint32_t>(from + 2), static_cast<float>(load<f16>(from)), 16, 0.0f, out);
  }
}

template <storable T>
void decode_q5_1(const std::byte* from, Index count, T* out) {
  for (; count > 0; count -= 32, from += 24, out += 32) {
    decode_nibbles(from + 8, load<std::uint32_t>(from + 4), static_cast<float>(load<f16>(from)), 0,
                   static_cast<float>(load<f16>(from + 2)), out);
  }
}

template <storable T>
void decode_iq4_nl(const std::byte* from, Index count, T* out) {
  static constexpr std::array<float, 16> table = {-127, -104, -83, -65, -49, -35, -22, -10,
                                                  1,    13,   25,  38,  53,  69,  89,  113};
  for (; count > 0; count -= 32, from += 18, out += 32) {
    const auto d = static_cast<float>(load<f16>(from));
    const auto bytes = load<std::array<std::uint8_t, 16>>(from + 2);
    for (std::size_t j = 0; j < 16; ++j) {
      out[j] = to<T>(d * table[bytes[j] & 15u]);
      out[j + 16] = to<T>(d * table[bytes[j] >> 4u]);
    }
  }
}

}  // namespace graft::io::detail
