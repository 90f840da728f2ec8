// SPDX-License-Identifier: Apache-2.0
// TensorRef: a named tensor inside a mapped file, not owned and not yet decoded.
#pragma once

#include <bit>      // endian
#include <cstddef>  // byte
#include <cstdint>  // uintptr_t
#include <cstring>  // memcpy
#include <optional>
#include <string>
#include <vector>

#include <graft/base/require.hpp>
#include <graft/core/view.hpp>
#include <graft/io/dtype.hpp>

namespace graft::io {

static_assert(std::endian::native == std::endian::little, "graft::io: files are little-endian and read as they are");

namespace detail {
/// A value as it stands in a file, which aligns nothing.
template <class Stored>
[[nodiscard]] inline Stored load(const std::byte* at) {
  Stored value;
  std::memcpy(&value, at, sizeof value);
  return value;
}
}  // namespace detail

/// Where a tensor lies and how it is coded. As a matrix, the last extent is the columns; a vector is one row.
struct TensorRef {
  std::string name;                 ///< its key in the file
  Dtype dtype = Dtype::f32;         ///< coding of the numbers
  std::vector<Index> shape;         ///< slowest extent first
  const std::byte* data = nullptr;  ///< in the mapped file
  std::size_t bytes = 0;            ///< from data on
  std::string file;                 ///< path, for messages
  /// > 0: the first extent holds this many heads whose rows stand in adjacent RoPE pairs (GGUF's llama, llama2.c);
  /// decoding brings them into the half-split order of Hugging Face.
  Index pair_heads = 0;

  [[nodiscard]] Index cols() const { return shape.empty() ? 1 : shape.back(); }  ///< the last extent
  /// The product of the other extents.
  [[nodiscard]] Index rows() const {
    Index count = 1;
    for (std::size_t i = 0; i + 1 < shape.size(); ++i) {
      count *= shape[i];
    }
    return count;
  }
};

/// The tensor as a View into the file itself, where its coding, order and address allow; otherwise decode_rows copies.
template <class T>
  requires storable<T> && (!graft::detail::is_complex<T>)
[[nodiscard]] std::optional<View<const T>> in_place(const TensorRef& tensor) {
  const bool aligned = reinterpret_cast<std::uintptr_t>(tensor.data) % alignof(T) == 0;
  if (tensor.dtype != dtype_of<T>() || !aligned || tensor.pair_heads > 0) {
    return std::nullopt;
  }
  return View<const T>{reinterpret_cast<const T*>(tensor.data), tensor.rows(), tensor.cols()};
}

/// Names a contiguous view for writing; `shape` may say how the rows x cols numbers are to be read ({n} for a vector).
template <class T>
[[nodiscard]] TensorRef tensor_ref(std::string name, View<T> view, std::vector<Index> shape = {}) {
  using Stored = std::remove_const_t<T>;
  require(view.contiguous(), "shape.150", "tensor_ref: the view must be contiguous");
  if (shape.empty()) {
    shape = {view.rows, view.cols};
  }
  const auto bytes = byte_count(dtype_of<Stored>(), shape);
  require(bytes == static_cast<std::size_t>(view.size()) * sizeof(Stored), "shape.151",
          "tensor_ref: the shape and the view disagree on the number of elements");
  return {
      std::move(name), dtype_of<Stored>(), std::move(shape), reinterpret_cast<const std::byte*>(view.data), *bytes, {}};
}

/// The numbers of an I32 or I64 tensor: an adapter's index lists (io.251 otherwise).
[[nodiscard]] inline std::vector<Index> read_integers(const TensorRef& tensor) {
  if (tensor.dtype != Dtype::i32 && tensor.dtype != Dtype::i64) {
    fail("io.251",
         "tensor \"" + tensor.name + "\" holds " + std::string(dtype_name(tensor.dtype)) + ", expected I32 or I64",
         tensor.file);
  }
  const std::size_t width = byte_count(tensor.dtype, 1);
  std::vector<Index> values;
  values.reserve(tensor.bytes / width);
  for (std::size_t at = 0; at < tensor.bytes; at += width) {
    values.push_back(width == sizeof(std::int32_t) ? detail::load<std::int32_t>(tensor.data + at)
                                                   : detail::load<std::int64_t>(tensor.data + at));
  }
  return values;
}

}  // namespace graft::io
