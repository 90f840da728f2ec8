// SPDX-License-Identifier: Apache-2.0
// k_quants: GGML's codings of numbers in blocks of 256, cut into runs that share a scale and a least value of few bits.
//
//              x                       runs     block (bytes)
//     Q2_K     d s q - e m             16 x 16  s | m << 4 (16), q (64), d, e
//     Q3_K     d (s - 32) (q - 4)      16 x 16  third bits (32), q (64), s (12), d
//     Q4_K     d s q - e m              8 x 32  d, e, s and m (12), q (128)
//     Q5_K     d s q - e m              8 x 32  d, e, s and m (12), fifth bits (32), q (128)
//     Q6_K     d s (q - 32)            16 x 16  low nibbles (128), two high bits (64), s with sign (16), d
//
// d and e are half precision. d s q and e m are exact in float (11 + 8 + 5 bits at most), so a value is rounded once and a
// fused multiply-add gives the same bits. Source: github.com/ggml-org/ggml, ggml-common.h and gguf-py.
#pragma once

#include <array>
#include <cstddef>  // byte
#include <cstdint>

#include <graft/core/scalar.hpp>
#include <graft/io/tensor_ref.hpp>

namespace graft::io::detail {

/// The bytes of one block: a copy cannot alias what is decoded into.
template <std::size_t Bytes>
[[nodiscard]] inline std::array<std::uint8_t, Bytes> load_block(const std::byte* from) {
  return load<std::array<std::uint8_t, Bytes>>(from);
}

/// A scale and a least value of six bits each, of one of eight runs.
struct ScaleMin {
  int scale;
  int min;
};

/// Run j of the 12 bytes of Q4_K and Q5_K: six bits of bytes j and j + 4; above run 3 a nibble of byte j + 4 and what the
/// first eight bytes have left over.
[[nodiscard]] inline ScaleMin scale_min(const std::uint8_t* packed, Index j) {
  if (j < 4) {
    return {packed[j] & 63, packed[j + 4] & 63};
  }
  return {(packed[j + 4] & 15) | (packed[j - 4] >> 6 << 4), (packed[j + 4] >> 4) | (packed[j] >> 6 << 4)};
}

/// Run j of the 12 bytes of Q3_K: a nibble of the first eight, two bits of the last four.
[[nodiscard]] inline int scale_of_six_bits(const std::uint8_t* packed, Index j) {
  return (packed[j % 8] >> 4 * (j / 8) & 15) | (packed[8 + j % 4] >> 2 * (j / 4) & 3) << 4;
}

template <storable T>
void decode_q2_k(const std::byte* from, Index count, T* out) {
  for (; count > 0; count -= 256, from += 84, out += 256) {
    const auto block = load_block<84>(from);
    const auto d = static_cast<float>(load<f16>(from + 80));
    const auto e = static_cast<float>(load<f16>(from + 82));
    for (Index j = 0; j < 16; ++j) {
      const int packed = block.data()[j];
      const std::uint8_t* q = block.data() + 16 + 32 * (j / 8) + 16 * (j % 2);
      const Index shift = j / 2 % 4 * 2;
      const float scale = d * static_cast<float>(packed & 15);
      const float min = e * static_cast<float>(packed >> 4);
      for (Index i = 0; i < 16; ++i) {
        out[16 * j + i] = to<T>(scale * static_cast<float>(q[i] >> shift & 3) - min);
      }
    }
  }
}

template <storable T>
void decode_q3_k(const std::byte* from, Index count, T* out) {
  for (; count > 0; count -= 256, from += 110, out += 256) {
    const auto block = load_block<110>(from);
    const auto d = static_cast<float>(load<f16>(from + 108));
    for (Index j = 0; j < 16; ++j) {
      const std::uint8_t* third = block.data() + 16 * (j % 2);
      const std::uint8_t* q = block.data() + 32 + 32 * (j / 8) + 16 * (j % 2);
      const Index shift = j / 2 % 4 * 2;
      const float scale = d * static_cast<float>(scale_of_six_bits(block.data() + 96, j) - 32);
      for (Index i = 0; i < 16; ++i) {
        out[16 * j + i] = to<T>(scale * static_cast<float>((q[i] >> shift & 3) + (third[i] >> j / 2 & 1) * 4 - 4));
      }
    }
  }
}

template <storable T>
void decode_q4_k(const std::byte* from, Index count, T* out) {
  for (; count > 0; count -= 256, from += 144, out += 256) {
    const auto block = load_block<144>(from);
    const auto d = static_cast<float>(load<f16>(from));
    const auto e = static_cast<float>(load<f16>(from + 2));
    for (Index j = 0; j < 8; ++j) {
      const auto [s, m] = scale_min(block.data() + 4, j);
      const std::uint8_t* q = block.data() + 16 + 32 * (j / 2);
      const Index shift = j % 2 * 4;
      const float scale = d * static_cast<float>(s);
      const float min = e * static_cast<float>(m);
      for (Index i = 0; i < 32; ++i) {
        out[32 * j + i] = to<T>(scale * static_cast<float>(q[i] >> shift & 15) - min);
      }
    }
  }
}

template <storable T>
void decode_q5_k(const std::byte* from, Index count, T* out) {
  for (; count > 0; count -= 256, from += 176, out += 256) {
    const auto block = load_block<176>(from);
    const auto d = static_cast<float>(load<f16>(from));
    const auto e = static_cast<float>(load<f16>(from + 2));
    const std::uint8_t* fifth = block.data() + 16;
    for (Index j = 0; j < 8; ++j) {
      const auto [s, m] = scale_min(block.data() + 4, j);
      const std::uint8_t* q = block.data() + 48 + 32 * (j / 2);
      const Index shift = j % 2 * 4;
      const float scale = d * static_cast<float>(s);
      const float min = e * static_cast<float>(m);
      for (Index i = 0; i < 32; ++i) {
        out[32 * j + i] = to<T>(scale * static_cast<float>((q[i] >> shift & 15) + (fifth[i] >> j & 1) * 16) - min);
      }
    }
  }
}

template <storable T>
void decode_q6_k(const std::byte* from, Index count, T* out) {
  for (; count > 0; count -= 256, from += 210, out += 256) {
    const auto block = load_block<210>(from);
    const auto d = static_cast<float>(load<f16>(from + 208));
    for (Index j = 0; j < 16; ++j) {
      const std::uint8_t* low = block.data() + 64 * (j / 8) + 16 * (j % 4);
      const std::uint8_t* high = block.data() + 128 + 32 * (j / 8) + 16 * (j % 2);
      const Index low_shift = j / 4 % 2 * 4;
      const Index high_shift = j / 2 % 4 * 2;
      const float scale = d * static_cast<float>(static_cast<std::int8_t>(block.data()[192 + j]));
      for (Index i = 0; i < 16; ++i) {
        const int q = (low[i] >> low_shift & 15) | (high[i] >> high_shift & 3) << 4;
        out[16 * j + i] = to<T>(scale * static_cast<float>(q - 32));
      }
    }
  }
}

}  // namespace graft::io::detail
