// SPDX-License-Identifier: Apache-2.0
#include <graft/io/decode.hpp>

#include <algorithm>
#include <complex>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include <graft/core/tensor.hpp>

#include "support/catch.hpp"
#include "support/files.hpp"

using namespace graft;
using test::contains;
using test::error_of;
using test::raw;

namespace {

io::TensorRef ref(io::Dtype dtype, std::vector<Index> shape, const std::string& bytes) {
  return {"w", dtype, std::move(shape), reinterpret_cast<const std::byte*>(bytes.data()), bytes.size(), "a.gguf"};
}

template <class T = float>
std::vector<T> decode(const io::TensorRef& tensor) {
  std::vector<T> out(static_cast<std::size_t>(tensor.rows() * tensor.cols()));
  io::decode_rows(tensor, 0, View<T>(out.data(), tensor.rows(), tensor.cols()));
  return out;
}

constexpr std::uint16_t half = 0x3800;  // 0.5 in half precision

}  // namespace

TEST_CASE("half precision decodes zeros, subnormals, normals and infinities as IEEE 754 says") {
  std::string bytes;
  for (const int bits : {0x0000, 0x0001, 0x03ff, 0x0400, 0x3c00, 0xc000, 0x7bff, 0x7c00}) {
    bytes += raw(static_cast<std::uint16_t>(bits));
  }
  CHECK(decode(ref(io::Dtype::f16, {8}, bytes)) == std::vector<float>{0, 0x1p-24f, 1023 * 0x1p-24f, 0x1p-14f, 1, -2,
                                                                      65504, std::numeric_limits<float>::infinity()});
}

TEST_CASE("rows of a quantised matrix begin at their own blocks") {
  std::string bytes;
  for (int block = 0; block < 6; ++block) {  // 3 rows of 2 blocks
    bytes += raw(half) + std::string(32, static_cast<char>(block));
  }
  const auto tensor = ref(io::Dtype::q8_0, {3, 64}, bytes);
  Tensor<float> middle(1, 64);
  io::decode_rows(tensor, 1, middle.view());
  CHECK(middle(0, 0) == 1);
  CHECK(middle(0, 63) == 1.5f);
}

TEST_CASE("every real type decodes into float, double, bf16 and complex numbers, from any address") {
  const std::string bytes = "x" + raw(1.5) + raw(-2.25);  // an odd address
  io::TensorRef tensor = ref(io::Dtype::f64, {2}, bytes);
  tensor.data += 1;
  CHECK(decode<double>(tensor) == std::vector<double>{1.5, -2.25});
  CHECK(decode<float>(tensor) == std::vector<float>{1.5, -2.25});
  CHECK(decode<bf16>(tensor) == std::vector<bf16>{bf16(1.5f), bf16(-2.25f)});
  CHECK(decode<std::complex<double>>(tensor) == std::vector<std::complex<double>>{1.5, -2.25});
  const std::string brain = raw(bf16(3.0f)) + raw(bf16(-4.0f));
  CHECK(decode<std::complex<double>>(ref(io::Dtype::bf16, {2}, brain)) == std::vector<std::complex<double>>{3, -4});
  CHECK(decode<float>(ref(io::Dtype::f32, {1}, raw(0.1f))) == std::vector<float>{0.1f});
}

TEST_CASE("rows in adjacent RoPE pairs come out in half-split order, matrices and biases, in any ranges") {
  // Two heads of width 6. Hugging Face row (h, s, i) -> file row (h, i, s), as llama.cpp's converter permutes them.
  std::string file(12 * sizeof(float), '\0');
  for (std::size_t h = 0; h < 2; ++h) {
    for (std::size_t s = 0; s < 2; ++s) {
      for (std::size_t i = 0; i < 3; ++i) {
        const std::string value = raw(static_cast<float>(6 * h + 3 * s + i));
        std::copy(value.begin(), value.end(), file.begin() + static_cast<std::ptrdiff_t>((6 * h + 2 * i + s) * 4));
      }
    }
  }
  std::vector<float> expected(12);
  for (std::size_t r = 0; r < 12; ++r) {
    expected[r] = static_cast<float>(r);
  }
  io::TensorRef matrix = ref(io::Dtype::f32, {12, 1}, file);
  io::TensorRef bias = ref(io::Dtype::f32, {12}, file);
  matrix.pair_heads = bias.pair_heads = 2;
  CHECK(decode(matrix) == expected);
  CHECK(decode(bias) == expected);
  Tensor<float> part(3, 1);
  io::decode_rows(matrix, 7, part.view());
  CHECK((part(0, 0) == 7 && part(1, 0) == 8 && part(2, 0) == 9));
}

TEST_CASE("rows beyond the tensor and columns of another number are refused") {
  const std::string bytes(24, '\0');
  const auto tensor = ref(io::Dtype::f32, {2, 3}, bytes);
  Tensor<float> out(2, 3);
  Tensor<float> narrow(2, 2);
  CHECK(error_of([&] { io::decode_rows(tensor, 1, out.view()); }).id() == "shape.152");
  CHECK(error_of([&] { io::decode_rows(tensor, -1, out.view()); }).id() == "shape.152");
  CHECK(error_of([&] { io::decode_rows(tensor, 0, narrow.view()); }).id() == "shape.152");
}

TEST_CASE("integers are no weights") {
  const std::string bytes(24, '\0');
  const Error error = error_of([&] { (void)decode(ref(io::Dtype::i64, {3}, bytes)); });
  CHECK(error.id() == "io.250");
  CHECK_THAT(error.what(), contains("\"w\"") && contains("I64") && contains("a.gguf"));
}
