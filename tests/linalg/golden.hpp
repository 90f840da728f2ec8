// SPDX-License-Identifier: Apache-2.0
// The fixtures of tests/golden/linalg as tensors.
#pragma once

#include <string>
#include <vector>

#include <graft/core/random.hpp>
#include <graft/core/tensor.hpp>
#include <graft/io/decode.hpp>
#include <graft/io/safetensors.hpp>

#include "support/paths.hpp"

namespace graft::test {

inline io::Safetensors linalg_golden(const std::string& name) {
  return io::Safetensors::open(golden("linalg/" + name + ".safetensors"));
}

inline Tensor<double> read_matrix(const io::Safetensors& file, const std::string& name) {
  const io::TensorRef& tensor = file.at(name);
  Tensor<double> matrix(tensor.rows(), tensor.cols());
  io::decode_rows(tensor, 0, matrix.view());
  return matrix;
}

template <class T>
Tensor<T> transposed(View<const T> a) {
  Tensor<T> result(a.cols, a.rows);
  for (Index i = 0; i < a.rows; ++i) {
    for (Index j = 0; j < a.cols; ++j) {
      result(j, i) = a(i, j);
    }
  }
  return result;
}

template <class T>
Tensor<T> gaussian(Index rows, Index cols, Random random) {
  Tensor<T> result(rows, cols);
  for (Index i = 0; i < result.size(); ++i) {
    result.data()[i] = static_cast<T>(random.normal(static_cast<std::uint64_t>(i)));
  }
  return result;
}

inline double largest_difference(View<const double> a, View<const double> b) {
  double largest = a.rows == b.rows && a.cols == b.cols ? 0 : 1;
  for (Index i = 0; i < a.rows; ++i) {
    for (Index j = 0; j < a.cols; ++j) {
      largest = std::max(largest, std::abs(a(i, j) - b(i, j)));
    }
  }
  return largest;
}

}  // namespace graft::test
