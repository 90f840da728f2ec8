// SPDX-License-Identifier: Apache-2.0
#include <graft/io/tensor_ref.hpp>

#include <array>
#include <vector>

#include <graft/core/tensor.hpp>

#include "support/catch.hpp"
#include "support/files.hpp"

using namespace graft;
using test::contains;
using test::error_of;

TEST_CASE("a vector is one row, a scalar one number, and leading extents fold into rows") {
  io::TensorRef tensor;
  const auto shape = [&](std::vector<Index> extents) {
    tensor.shape = std::move(extents);
    return std::pair(tensor.rows(), tensor.cols());
  };
  CHECK(shape({5}) == std::pair<Index, Index>(1, 5));
  CHECK(shape({}) == std::pair<Index, Index>(1, 1));
  CHECK(shape({2, 3, 4}) == std::pair<Index, Index>(6, 4));
}

TEST_CASE("a tensor is used in place only where dtype, address and row order allow it") {
  Tensor<float> values(2, 3);
  values(1, 2) = 7;
  io::TensorRef tensor = io::tensor_ref("w", values.view());
  const auto view = io::in_place<float>(tensor);
  REQUIRE(view);
  CHECK(view->data == values.data());
  CHECK((*view)(1, 2) == 7);
  CHECK_FALSE(io::in_place<double>(tensor));
  CHECK_FALSE(io::in_place<bf16>(tensor));
  io::TensorRef odd = tensor;
  odd.data += 1;
  CHECK_FALSE(io::in_place<float>(odd));
  tensor.pair_heads = 1;
  CHECK_FALSE(io::in_place<float>(tensor));
}

TEST_CASE("a view is named for writing only if it is contiguous and the shape has its size") {
  Tensor<float> values(4, 6);
  CHECK(io::tensor_ref("w", values.view()).bytes == 96);
  CHECK(io::tensor_ref("w", values.view(), {24}).shape == std::vector<Index>{24});
  CHECK(error_of([&] { (void)io::tensor_ref("w", values.view().middle_cols(1, 2)); }).id() == "shape.150");
  CHECK(error_of([&] { (void)io::tensor_ref("w", values.view(), {23}); }).id() == "shape.151");
}

TEST_CASE("index lists are read from 32 and 64 bit integers and from nothing else") {
  const std::array<std::int32_t, 3> narrow = {5, -1, 7};
  const std::array<std::int64_t, 3> wide = {5, -1, 7};
  const auto ref = [](const auto& list, io::Dtype dtype) {
    return io::TensorRef{"J",         dtype,          {3}, reinterpret_cast<const std::byte*>(list.data()),
                         sizeof list, "a.safetensors"};
  };
  CHECK(io::read_integers(ref(narrow, io::Dtype::i32)) == std::vector<Index>{5, -1, 7});
  CHECK(io::read_integers(ref(wide, io::Dtype::i64)) == std::vector<Index>{5, -1, 7});
  const Error error = error_of([&] { (void)io::read_integers(ref(narrow, io::Dtype::f32)); });
  CHECK(error.id() == "io.251");
  CHECK_THAT(error.what(), contains("\"J\"") && contains("F32") && contains("a.safetensors"));
}
