// SPDX-License-Identifier: Apache-2.0
// encode: turns rows of floats into the bytes of a tensor in a file; decode_rows is the way back.
//
//     F32, F16, BF16   each number rounded once, to nearest, ties to even
//     Q8_0             a block of 32 is d q with d = max |x| / 127 and q = round(x / d), halves away from zero, d stored in F16
//
// The bytes are gguf-py's and ggml's (quantize_row_q8_0_ref). Source: github.com/ggml-org/ggml, ggml-quants.c.
#pragma once

#include <algorithm>  // max, min
#include <cmath>      // abs, isfinite, round
#include <cstddef>    // byte
#include <cstdint>
#include <cstring>  // memcpy
#include <limits>
#include <string>
#include <vector>

#include <graft/base/require.hpp>
#include <graft/core/parallel.hpp>
#include <graft/core/view.hpp>
#include <graft/io/decode.hpp>
#include <graft/io/tensor_ref.hpp>

namespace graft::io {

/// Whether encode() writes this coding.
[[nodiscard]] constexpr bool is_encodable(Dtype dtype) {
  return dtype == Dtype::f32 || dtype == Dtype::f16 || dtype == Dtype::bf16 || dtype == Dtype::q8_0;
}

namespace detail {

/// False where a finite number lies beyond what the coding holds.
template <class Stored>
[[nodiscard]] bool encode_plain(const float* from, Index count, std::byte* to) {
  bool held = true;
  for (Index i = 0; i < count; ++i) {
    const Stored value(from[i]);
    held = held && std::abs(static_cast<float>(value)) <= std::numeric_limits<float>::max();
    std::memcpy(to + i * static_cast<Index>(sizeof value), &value, sizeof value);
  }
  return held;
}

[[nodiscard]] inline bool encode_q8_0(const float* from, Index count, std::byte* to) {
  bool held = true;
  for (; count > 0; count -= 32, from += 32, to += 34) {
    float largest = 0;
    for (Index j = 0; j < 32; ++j) {
      largest = std::max(largest, std::abs(from[j]));
    }
    const float d = largest / 127;
    const float inverse = std::isfinite(1 / d) ? 1 / d : 0;  // a block of zeros, or of what F16 turns into them
    held = encode_plain<f16>(&d, 1, to) && held;
    for (Index j = 0; j < 32; ++j) {
      to[2 + j] = static_cast<std::byte>(static_cast<std::int8_t>(std::round(from[j] * inverse)));
    }
  }
  return held;
}

/// `count` numbers that begin at a block boundary.
[[nodiscard]] inline bool encode_run(Dtype dtype, const float* from, Index count, std::byte* to) {
  switch (dtype) {
    case Dtype::f16: return encode_plain<f16>(from, count, to);
    case Dtype::bf16: return encode_plain<bf16>(from, count, to);
    case Dtype::q8_0: return encode_q8_0(from, count, to);
    default: return encode_plain<float>(from, count, to);
  }
}

}  // namespace detail

/// The bytes of a tensor of this name, coding, shape and order of rows (pair_heads) that holds `values`, a vector being one
/// row. A coding that is not written here, or rows that would break its blocks, are io.270; a number that leaves its range is
/// io.271.
[[nodiscard]] inline std::vector<std::byte> encode(const TensorRef& target, View<const float> values) {
  require(values.rows == target.rows() && values.cols == target.cols(), "io.273",
          "encode: the values must have the rows and columns of the tensor");
  if (!is_encodable(target.dtype) || values.cols % block_size(target.dtype) != 0) {
    fail("io.270",
         "tensor \"" + target.name + "\" " + shape_text(target.shape) + " cannot be written as " +
             std::string(dtype_name(target.dtype)) +
             ", expected F32, F16, BF16, or Q8_0 with columns that are a multiple of 32",
         target.file);
  }
  const auto row_bytes = static_cast<Index>(byte_count(target.dtype, values.cols));
  std::vector<std::byte> bytes(static_cast<std::size_t>(row_bytes * values.rows));
  const bool is_vector = target.shape.size() < 2;
  parallel_for(ceil_div(values.rows, Index{64}), [&](Index task, Index) {
    std::vector<float> paired;
    for (Index i = 64 * task; i < std::min(values.rows, 64 * (task + 1)); ++i) {
      const float* row = values.row(i);
      Index place = i;
      if (target.pair_heads > 0 && is_vector) {  // a bias: its only row is reordered inside
        paired.resize(static_cast<std::size_t>(values.cols));
        for (Index j = 0; j < values.cols; ++j) {
          paired[static_cast<std::size_t>(detail::paired_row(j, values.cols / target.pair_heads))] = row[j];
        }
        row = paired.data();
      } else if (target.pair_heads > 0) {
        place = detail::paired_row(i, values.rows / target.pair_heads);
      }
      if (!detail::encode_run(target.dtype, row, values.cols, bytes.data() + place * row_bytes)) {
        fail("io.271",
             "tensor \"" + target.name + "\" holds a number in row " + std::to_string(i) + " that " +
                 std::string(dtype_name(target.dtype)) + " cannot hold; write it as F32 or BF16",
             target.file);
      }
    }
  });
  return bytes;
}

}  // namespace graft::io
