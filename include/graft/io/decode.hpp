// SPDX-License-Identifier: Apache-2.0
// decode_rows: turns rows of a tensor in any coding of numbers into rows of floats, doubles, bf16 or complex numbers.
//
// Block codings: GGML's Q8_0 x = d q, Q4_0 x = d (q - 8), Q4_1 x = d q + m; number j of a 4-bit block is the low nibble of
// byte j for j < 16 and the high nibble of byte j - 16 above. d q is exact in float (11 x 8 bits), so a fused multiply-add
// gives the same bits. Adjacent-pair rows: half-split row (head, s, i) stands at row (head, i, s), s in {0, 1}.
#pragma once

#include <array>
#include <cstddef>  // byte
#include <cstdint>
#include <cstring>  // memcpy
#include <string>
#include <vector>

#include <graft/base/require.hpp>
#include <graft/core/scalar.hpp>
#include <graft/core/view.hpp>
#include <graft/io/tensor_ref.hpp>

namespace graft::io {

namespace detail {

template <class Stored>
[[nodiscard]] inline Stored load(const std::byte* at) {  // files align nothing
  Stored value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

template <storable Stored, storable T>
void decode_plain(const std::byte* from, Index count, T* out) {
  for (Index i = 0; i < count; ++i) {
    out[i] = to<T>(load<Stored>(from + i * static_cast<Index>(sizeof(Stored))));
  }
}

template <storable T>
void decode_f16(const std::byte* from, Index count, T* out) {
  for (Index i = 0; i < count; ++i) {
    out[i] = to<T>(static_cast<float>(load<f16>(from + 2 * i)));
  }
}

template <storable T>
void decode_q8_0(const std::byte* from, Index count, T* out) {
  for (; count > 0; count -= 32, from += 34, out += 32) {
    const auto d = static_cast<float>(load<f16>(from));
    for (Index j = 0; j < 32; ++j) {
      out[j] = to<T>(d * static_cast<float>(static_cast<std::int8_t>(from[2 + j])));
    }
  }
}

/// Sixteen bytes of two nibbles: out[j] = d (q - shift) + m.
template <storable T>
void decode_nibbles(const std::byte* from, float d, int shift, float m, T* out) {
  std::array<std::uint8_t, 16> bytes;  // a copy cannot alias `out`, so both loops become vector code
  std::memcpy(bytes.data(), from, bytes.size());
  for (std::size_t j = 0; j < 16; ++j) {
    out[j] = to<T>(d * static_cast<float>((bytes[j] & 15) - shift) + m);
  }
  for (std::size_t j = 0; j < 16; ++j) {
    out[j + 16] = to<T>(d * static_cast<float>((bytes[j] >> 4) - shift) + m);
  }
}

template <storable T>
void decode_q4_0(const std::byte* from, Index count, T* out) {
  for (; count > 0; count -= 32, from += 18, out += 32) {
    decode_nibbles(from + 2, static_cast<float>(load<f16>(from)), 8, 0.0f, out);
  }
}

template <storable T>
void decode_q4_1(const std::byte* from, Index count, T* out) {
  for (; count > 0; count -= 32, from += 20, out += 32) {
    decode_nibbles(from + 4, static_cast<float>(load<f16>(from)), 0, static_cast<float>(load<f16>(from + 2)), out);
  }
}

/// `count` numbers that begin at a block boundary.
template <storable T>
void decode_run(const TensorRef& tensor, const std::byte* from, Index count, T* out) {
  switch (tensor.dtype) {
    case Dtype::f64: return decode_plain<double>(from, count, out);
    case Dtype::f32: return decode_plain<float>(from, count, out);
    case Dtype::bf16: return decode_plain<bf16>(from, count, out);
    case Dtype::f16: return decode_f16(from, count, out);
    case Dtype::q8_0: return decode_q8_0(from, count, out);
    case Dtype::q4_0: return decode_q4_0(from, count, out);
    case Dtype::q4_1: return decode_q4_1(from, count, out);
    default:
      fail("io.250",
           "tensor \"" + tensor.name + "\" holds " + std::string(dtype_name(tensor.dtype)) +
               ", expected one of F64, F32, F16, BF16, Q8_0, Q4_0, Q4_1",
           tensor.file);
  }
}

/// Where row `row` of the half-split order stands in a tensor of adjacent pairs.
[[nodiscard]] constexpr Index paired_row(Index row, Index head_dim) {
  const Index within = row % head_dim;
  const Index half = head_dim / 2;
  return row - within + 2 * (within % half) + within / half;
}

}  // namespace detail

/// Decodes rows first_row .. first_row + out.rows of the tensor; columns are all or nothing. Rows are independent, so the
/// caller may give ranges of them to several threads.
template <storable T>
void decode_rows(const TensorRef& tensor, Index first_row, View<T> out) {
  require(first_row >= 0 && first_row + out.rows <= tensor.rows() && out.cols == tensor.cols(), "shape.152",
          "decode_rows: the rows asked for must lie in the tensor, and the columns must agree");
  const auto row_bytes = static_cast<Index>(byte_count(tensor.dtype, tensor.cols()));
  if (tensor.pair_heads > 0 && tensor.shape.size() == 1) {  // a bias: its only row is reordered inside
    std::vector<T> paired(static_cast<std::size_t>(out.cols));
    detail::decode_run(tensor, tensor.data, out.cols, paired.data());
    for (Index j = 0; j < out.cols; ++j) {
      out(0, j) = paired[static_cast<std::size_t>(detail::paired_row(j, out.cols / tensor.pair_heads))];
    }
    return;
  }
  for (Index i = 0; i < out.rows; ++i) {
    const Index row = first_row + i;
    const Index source = tensor.pair_heads > 0 ? detail::paired_row(row, tensor.rows() / tensor.pair_heads) : row;
    detail::decode_run(tensor, tensor.data + source * row_bytes, out.cols, out.row(i));
  }
}

}  // namespace graft::io
