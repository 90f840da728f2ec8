// SPDX-License-Identifier: Apache-2.0
// decode_rows: turns rows of a tensor in any coding of numbers into rows of floats, doubles, bf16 or complex numbers.
//
// Adjacent-pair rows: half-split row (head, s, i) stands at row (head, i, s), s in {0, 1}.
#pragma once

#include <cstddef>  // byte
#include <string>
#include <vector>

#include <graft/base/require.hpp>
#include <graft/core/scalar.hpp>
#include <graft/core/view.hpp>
#include <graft/io/block_quants.hpp>
#include <graft/io/k_quants.hpp>
#include <graft/io/tensor_ref.hpp>

namespace graft::io {

namespace detail {

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
    case Dtype::q5_0: return decode_q5_0(from, count, out);
    case Dtype::q5_1: return decode_q5_1(from, count, out);
    case Dtype::iq4_nl: return decode_iq4_nl(from, count, out);
    case Dtype::q2_k: return decode_q2_k(from, count, out);
    case Dtype::q3_k: return decode_q3_k(from, count, out);
    case Dtype::q4_k: return decode_q4_k(from, count, out);
    case Dtype::q5_k: return decode_q5_k(from, count, out);
    case Dtype::q6_k: return decode_q6_k(from, count, out);
    default:
      fail("io.250",
           "tensor \"" + tensor.name + "\" holds " + std::string(dtype_name(tensor.dtype)) + ", expected one of " +
               std::string(real_dtypes),
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
