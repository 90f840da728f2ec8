// SPDX-License-Identifier: Apache-2.0
// Quantised blocks and the numbers that gguf-py reads out of them (tests/golden/io/make_quants.py).
#pragma once

#include <string>
#include <vector>

#include <graft/core/tensor.hpp>
#include <graft/io/decode.hpp>
#include <graft/io/safetensors.hpp>

#include "support/paths.hpp"

namespace graft::test {

/// How many numbers of the golden file decode into others than gguf-py's.
inline Index unlike_gguf_py(io::Dtype dtype) {
  const auto file = io::Safetensors::open(golden("io/quants.safetensors"));
  const std::string name(io::dtype_name(dtype));
  const io::TensorRef& values = file.at(name + ".values");
  io::TensorRef blocks = file.at(name + ".blocks");
  blocks.dtype = dtype;
  blocks.shape = values.shape;
  if (blocks.bytes != io::byte_count(dtype, blocks.shape) || blocks.rows() != 10) {
    return -1;
  }
  Tensor<float> decoded(blocks.rows(), blocks.cols());
  Tensor<float> expected(blocks.rows(), blocks.cols());
  io::decode_rows(blocks, 0, decoded.view());
  io::decode_rows(values, 0, expected.view());
  Index unlike = 0;
  for (Index i = 0; i < decoded.size(); ++i) {
    unlike += decoded.data()[i] != expected.data()[i];
  }
  return unlike;
}

}  // namespace graft::test
