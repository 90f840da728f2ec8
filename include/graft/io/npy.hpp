// SPDX-License-Identifier: Apache-2.0
// numpy's .npy file: read in place, written block of rows by block of rows, so that the whole never sits in memory.
//
// Format: magic, version, length of the header, a Python dictionary padded to 64 bytes, the numbers.
// https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
#pragma once

#include <algorithm>  // min
#include <array>
#include <charconv>  // from_chars
#include <cstring>   // memcpy
#include <span>
#include <string>
#include <string_view>
#include <system_error>  // errc
#include <utility>       // pair
#include <vector>

#include <graft/base/index.hpp>
#include <graft/base/require.hpp>
#include <graft/core/tensor.hpp>
#include <graft/core/view.hpp>
#include <graft/io/atomic_file.hpp>
#include <graft/io/mapped_file.hpp>
#include <graft/io/tensor_ref.hpp>

namespace graft::io {

namespace detail {

inline constexpr std::string_view npy_magic = "\x93NUMPY";

/// What follows `'key':` in the dictionary; io.280 where the key is missing.
[[nodiscard]] inline std::string_view npy_value(std::string_view header, std::string_view key,
                                                const std::string& file) {
  const std::size_t at = header.find("'" + std::string(key) + "':");
  if (at == std::string_view::npos) {
    fail("io.280", "the .npy header lacks the key '" + std::string(key) + "'", file);
  }
  const std::size_t value = header.find_first_not_of(' ', at + key.size() + 3);
  return value == std::string_view::npos ? std::string_view() : header.substr(value);
}

[[nodiscard]] inline Dtype npy_dtype(std::string_view value, const std::string& file) {
  using Row = std::pair<std::string_view, Dtype>;
  constexpr std::array<Row, 5> known = {Row{"'<f4'", Dtype::f32},
                                        {"'<f8'", Dtype::f64},
                                        {"'<f2'", Dtype::f16},
                                        {"'<i4'", Dtype::i32},
                                        {"'<i8'", Dtype::i64}};
  for (const auto& [descr, dtype] : known) {
    if (value.starts_with(descr)) {
      return dtype;
    }
  }
  fail("io.281",
       ".npy key 'descr': expected one of '<f4', '<f8', '<f2', '<i4', '<i8', found " +
           std::string(value.substr(0, value.find(','))),
       file);
}

/// "(3, 4), }" -> {3, 4}; "(5,), }" -> {5}.
[[nodiscard]] inline std::vector<Index> npy_shape(std::string_view value, const std::string& file) {
  const std::size_t close = value.find(')');
  if (!value.starts_with('(') || close == std::string_view::npos) {
    fail("io.280", ".npy key 'shape': expected a tuple, found \"" + std::string(value.substr(0, 40)) + "\"", file);
  }
  std::vector<Index> shape;
  for (std::string_view rest = value.substr(1, close - 1); !rest.empty();) {
    Index extent = 0;
    const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), extent);
    rest.remove_prefix(static_cast<std::size_t>(end - rest.data()));
    if (error != std::errc() || !(rest.empty() || rest.starts_with(','))) {
      fail("io.280", ".npy key 'shape': expected integers, found \"" + std::string(value.substr(0, close + 1)) + "\"",
           file);
    }
    shape.push_back(extent);
    rest.remove_prefix(std::min(rest.size(), rest.find_first_not_of(", ")));
  }
  return shape;
}

}  // namespace detail

/// The array of a mapped .npy file, in place: little-endian, in C order. It lives as long as `file`.
[[nodiscard]] inline TensorRef parse_npy(const MappedFile& file) {
  const std::string_view text = file.text();
  const std::string& path = file.path();
  if (text.size() < 12 || !text.starts_with(detail::npy_magic)) {
    fail("io.280", "expected a .npy file, found no magic number", path);
  }
  const auto byte = [&](std::size_t at) { return std::size_t{static_cast<unsigned char>(text[at])}; };
  const bool short_length = byte(6) == 1;
  const std::size_t begin = short_length ? 10 : 12;
  const std::size_t length = byte(8) | byte(9) << 8 | (short_length ? 0 : byte(10) << 16 | byte(11) << 24);
  if (length > text.size() - begin) {
    fail("io.280",
         "the .npy header is cut off: expected " + std::to_string(length) + " bytes, found " +
             std::to_string(text.size() - begin),
         path);
  }
  const std::string_view header = text.substr(begin, length);
  if (!detail::npy_value(header, "fortran_order", path).starts_with("False")) {
    fail("io.281", ".npy key 'fortran_order': expected False, found an array in Fortran order", path);
  }
  TensorRef tensor{.name = "array",
                   .dtype = detail::npy_dtype(detail::npy_value(header, "descr", path), path),
                   .shape = detail::npy_shape(detail::npy_value(header, "shape", path), path),
                   .data = file.bytes().data() + begin + length,
                   .bytes = text.size() - begin - length,
                   .file = path};
  if (byte_count(tensor.dtype, tensor.shape) != tensor.bytes) {
    fail("io.282",
         "the .npy file holds " + std::to_string(tensor.bytes) + " bytes of numbers, which is not what the shape " +
             shape_text(tensor.shape) + " takes",
         path);
  }
  return tensor;
}

/// The numbers of a .npy file of exactly T; a vector becomes one row (io.283 otherwise).
template <class T>
[[nodiscard]] Tensor<T> load_npy(const std::string& path) {
  const MappedFile file(path);
  const TensorRef tensor = parse_npy(file);
  if (tensor.dtype != dtype_of<T>() || tensor.shape.empty() || tensor.shape.size() > 2) {
    fail("io.283",
         "load_npy: expected a matrix of " + std::string(dtype_name(dtype_of<T>())) + ", found " +
             std::string(dtype_name(tensor.dtype)) + " " + shape_text(tensor.shape),
         path);
  }
  Tensor<T> values(tensor.rows(), tensor.cols());
  if (tensor.bytes > 0) {
    std::memcpy(values.data(), tensor.data, tensor.bytes);
  }
  return values;
}

/// Appends rows; the file gets its name at commit(), and only with exactly the promised number of rows.
class NpyWriter {
 public:
  /// Opens a file for exactly rows x cols floats; a negative extent is shape.170.
  NpyWriter(const std::string& path, Index rows, Index cols) : file_(path), path_(path), rows_(rows), cols_(cols) {
    require(rows >= 0 && cols >= 0, "shape.170", "NpyWriter: extents must not be negative");
    file_.write(header());
  }

  /// Appends rows; other columns are shape.171, more rows than promised shape.172.
  void append(View<const float> rows) {
    require(rows.cols == cols_, "shape.171", "NpyWriter: the block and the file disagree on the number of columns");
    require(written_ + rows.rows <= rows_, "shape.172", "NpyWriter: more rows than the file was opened for");
    for (Index i = 0; i < rows.rows; ++i) {
      file_.write(std::as_bytes(std::span(rows.row(i), static_cast<std::size_t>(cols_))));
    }
    written_ += rows.rows;
  }

  /// Gives the file its name; fewer rows than promised are shape.172.
  void commit() {
    if (written_ != rows_) {
      fail("shape.172", "NpyWriter: expected " + std::to_string(rows_) + " rows, found " + std::to_string(written_),
           path_);
    }
    file_.commit();
  }

 private:
  [[nodiscard]] std::string header() const {
    std::string text = "{'descr': '<f4', 'fortran_order': False, 'shape': (" + std::to_string(rows_) + ", " +
                       std::to_string(cols_) + "), }";
    constexpr std::size_t before = 10;  // magic, version, length
    text.append(63 - (before + text.size()) % 64, ' ').push_back('\n');
    std::string magic = std::string(detail::npy_magic) + '\x01' + '\x00';
    magic.push_back(static_cast<char>(text.size() & 0xff));
    magic.push_back(static_cast<char>(text.size() >> 8));
    return magic + text;
  }

  AtomicFile file_;
  std::string path_;
  Index rows_;
  Index cols_;
  Index written_ = 0;
};

}  // namespace graft::io
