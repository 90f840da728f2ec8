// SPDX-License-Identifier: Apache-2.0
#include <graft/io/encode.hpp>

#include <algorithm>
#include <string>
#include <vector>

#include <graft/core/tensor.hpp>
#include <graft/io/safetensors.hpp>

#include "support/catch.hpp"
#include "support/files.hpp"
#include "support/paths.hpp"

using namespace graft;
using io::Dtype;

namespace {

constexpr Dtype written_types[] = {Dtype::f32, Dtype::f16, Dtype::bf16, Dtype::q8_0};

Tensor<float> values_of(const io::TensorRef& tensor) {
  Tensor<float> values(tensor.rows(), tensor.cols());
  io::decode_rows(tensor, 0, values.view());
  return values;
}

io::TensorRef target(Dtype dtype, std::vector<Index> shape, Index pair_heads = 0) {
  return {"t", dtype, std::move(shape), nullptr, 0, "a.gguf", pair_heads};
}

/// The tensor that lies in these bytes.
io::TensorRef laid(io::TensorRef tensor, const std::vector<std::byte>& bytes) {
  tensor.data = bytes.data();
  tensor.bytes = bytes.size();
  return tensor;
}

}  // namespace

TEST_CASE("F16, BF16 and Q8_0 are the bytes of gguf-py, halfway cases included") {
  const auto golden = io::Safetensors::open(test::golden("io/encoded.safetensors"));
  const Tensor<float> values = values_of(golden.at("values"));
  for (const Dtype dtype : {Dtype::f16, Dtype::bf16, Dtype::q8_0}) {
    INFO(io::dtype_name(dtype));
    const auto bytes = io::encode(target(dtype, {values.rows(), values.cols()}), values.view());
    const io::TensorRef& expected = golden.at(std::string(io::dtype_name(dtype)) + ".bytes");
    REQUIRE(bytes.size() == expected.bytes);
    CHECK(std::equal(bytes.begin(), bytes.end(), expected.data));
  }
}

TEST_CASE("what is encoded decodes into the nearest numbers, rows of adjacent pairs and vectors included") {
  const auto golden = io::Safetensors::open(test::golden("io/encoded.safetensors"));
  const Tensor<float> values = values_of(golden.at("values"));
  const auto rows = values.view().middle_rows(4, 8);
  for (const Dtype dtype : written_types) {
    INFO(io::dtype_name(dtype));
    const auto plain = io::encode(target(dtype, {8, 64}), rows);
    const Tensor<float> once = values_of(laid(target(dtype, {8, 64}), plain));
    for (const Index heads : {Index{1}, Index{2}}) {
      const auto moved = io::encode(target(dtype, {8, 64}, heads), rows);
      CHECK((moved != plain));
      const Tensor<float> again = values_of(laid(target(dtype, {8, 64}, heads), moved));
      CHECK(std::equal(again.data(), again.data() + again.size(), once.data()));
    }
    for (Index i = 0; i < rows.rows; ++i) {
      const float largest = std::abs(
          *std::max_element(rows.row(i), rows.row(i) + 64, [](float a, float b) { return std::abs(a) < std::abs(b); }));
      const double step = dtype == Dtype::f32    ? 0
                          : dtype == Dtype::q8_0 ? largest / 220.0
                                                 : largest * (dtype == Dtype::f16 ? 0x1p-11 : 0x1p-8);
      for (Index j = 0; j < 64; ++j) {
        CHECK(std::abs(once(i, j) - rows(i, j)) <= step);
      }
    }
  }
  const auto bias = io::encode(target(Dtype::f32, {64}, 4), values.view().middle_rows(4, 1));
  const Tensor<float> back = values_of(laid(target(Dtype::f32, {64}, 4), bias));
  CHECK(std::equal(back.data(), back.data() + 64, values.view().row(4)));
}

TEST_CASE("codings that are not written, broken blocks and numbers out of range are refused by name") {
  Tensor<float> values(2, 48);
  const auto error = [&](Dtype dtype) {
    return test::error_of([&] { (void)io::encode(target(dtype, {2, 48}), std::as_const(values).view()); });
  };
  CHECK(error(Dtype::q8_0).id() == "io.270");
  CHECK(error(Dtype::q4_1).id() == "io.270");
  CHECK(test::says(error(Dtype::q4_k), "Q4_K"));
  values(1, 3) = 70000;
  CHECK(error(Dtype::f16).id() == "io.271");
  CHECK(test::says(error(Dtype::f16), "row 1"));
  CHECK(error(Dtype::bf16).id() == "none");
  Tensor<float> wide(1, 32);
  wide(0, 0) = 1e7F;  // d = 78740 is no half
  const auto q8 = [&] { (void)io::encode(target(Dtype::q8_0, {1, 32}), std::as_const(wide).view()); };
  CHECK(test::error_of(q8).id() == "io.271");
  const auto misfit = [&] { (void)io::encode(target(Dtype::f32, {2, 16}), std::as_const(wide).view()); };
  CHECK(test::error_of(misfit).id() == "io.273");
  wide(0, 0) = 1e-44F;  // 1 / d is infinite
  CHECK(test::error_of(q8).id() == "none");
}
