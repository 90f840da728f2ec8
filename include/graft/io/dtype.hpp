// SPDX-License-Identifier: Apache-2.0
// Dtype: how the numbers of a file are coded, and how many bytes they take.
//
// Block types are GGML's: 32 numbers at a time (io/block_quants.hpp), or 256 for those whose name ends in K (io/k_quants.hpp).
#pragma once

#include <array>
#include <cstddef>  // size_t, byte
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include <graft/base/index.hpp>
#include <graft/core/scalar.hpp>

namespace graft::io {

/// Codings of numbers; from q8_0 to iq4_nl they come in blocks of 32, from q2_k to q6_k in blocks of 256.
enum class Dtype {
  f64,
  f32,
  f16,
  bf16,
  i64,
  i32,
  i16,
  i8,
  u8,
  boolean,
  q8_0,
  q4_0,
  q4_1,
  q5_0,
  q5_1,
  iq4_nl,
  q2_k,
  q3_k,
  q4_k,
  q5_k,
  q6_k
};

/// The dtypes that weights may have, for messages.
inline constexpr std::string_view real_dtypes =
    "F64, F32, F16, BF16, Q8_0, Q5_0, Q5_1, Q4_0, Q4_1, IQ4_NL, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K";

namespace detail {
struct DtypeRow {
  std::string_view name;    // as safetensors and GGUF spell it
  std::size_t block_size;   // numbers in a block
  std::size_t block_bytes;  // bytes of a block
};
inline constexpr std::array<DtypeRow, 21> dtype_rows = {{
    {"F64", 1, 8},      {"F32", 1, 4},     {"F16", 1, 2},      {"BF16", 1, 2},     {"I64", 1, 8},
    {"I32", 1, 4},      {"I16", 1, 2},     {"I8", 1, 1},       {"U8", 1, 1},       {"BOOL", 1, 1},
    {"Q8_0", 32, 34},   {"Q4_0", 32, 18},  {"Q4_1", 32, 20},   {"Q5_0", 32, 22},   {"Q5_1", 32, 24},
    {"IQ4_NL", 32, 18}, {"Q2_K", 256, 84}, {"Q3_K", 256, 110}, {"Q4_K", 256, 144}, {"Q5_K", 256, 176},
    {"Q6_K", 256, 210},
}};
[[nodiscard]] constexpr const DtypeRow& row(Dtype dtype) {
  return dtype_rows[static_cast<std::size_t>(dtype)];
}
}  // namespace detail

/// "F32", "BF16", "Q4_1": the spelling of safetensors and GGUF.
[[nodiscard]] constexpr std::string_view dtype_name(Dtype dtype) {
  return detail::row(dtype).name;
}

/// The dtype of that name, if there is one.
[[nodiscard]] constexpr std::optional<Dtype> dtype_named(std::string_view name) {
  for (std::size_t i = 0; i < detail::dtype_rows.size(); ++i) {
    if (detail::dtype_rows[i].name == name) {
      return static_cast<Dtype>(i);
    }
  }
  return std::nullopt;
}

/// How many numbers stand in one indivisible block: 1, or 32 or 256 for quantised types.
[[nodiscard]] constexpr Index block_size(Dtype dtype) {
  return static_cast<Index>(detail::row(dtype).block_size);
}

/// Whether its numbers are real: weights, not indices or flags.
[[nodiscard]] constexpr bool is_real(Dtype dtype) {
  return dtype <= Dtype::bf16 || dtype >= Dtype::q8_0;
}

/// The bytes that `count` numbers take; count is a multiple of block_size.
[[nodiscard]] constexpr std::size_t byte_count(Dtype dtype, Index count) {
  const auto& row = detail::row(dtype);
  return static_cast<std::size_t>(count) / row.block_size * row.block_bytes;
}

/// The bytes of a tensor, or nothing where the shape is negative, overflows, or breaks a block inside a row.
[[nodiscard]] constexpr std::optional<std::size_t> byte_count(Dtype dtype, std::span<const Index> shape) {
  constexpr Index limit = Index{1} << 56;
  Index count = 1;
  for (const Index extent : shape) {
    if (extent < 0 || (extent > 0 && count > limit / extent)) {
      return std::nullopt;
    }
    count *= extent;
  }
  const Index last = shape.empty() ? 1 : shape.back();
  return last % block_size(dtype) == 0 ? std::optional(byte_count(dtype, count)) : std::nullopt;
}

/// The dtype whose bytes are a T, for the types that a View may hold or an index list needs.
template <class T>
[[nodiscard]] constexpr Dtype dtype_of() {
  if constexpr (std::same_as<T, double>) {
    return Dtype::f64;
  } else if constexpr (std::same_as<T, float>) {
    return Dtype::f32;
  } else if constexpr (std::same_as<T, bf16>) {
    return Dtype::bf16;
  } else if constexpr (std::same_as<T, std::int64_t>) {
    return Dtype::i64;
  } else {
    static_assert(std::same_as<T, std::int32_t>, "dtype_of: T is double, float, bf16, int64_t or int32_t");
    return Dtype::i32;
  }
}

/// "[576, 1536]", for messages.
[[nodiscard]] inline std::string shape_text(std::span<const Index> shape) {
  std::string text = "[";
  for (const Index extent : shape) {
    text += (text.size() > 1 ? ", " : "") + std::to_string(extent);
  }
  return text + "]";
}

}  // namespace graft::io
