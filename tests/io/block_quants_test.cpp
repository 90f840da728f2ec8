// SPDX-License-Identifier: Apache-2.0
#include <graft/io/block_quants.hpp>

#include <cstdint>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/files.hpp"
#include "support/golden_quants.hpp"

using namespace graft;
using test::raw;

namespace {

std::vector<float> decoded_block(io::Dtype dtype, const std::string& bytes) {
  const io::TensorRef block = {"w",          dtype,   {1, 32}, reinterpret_cast<const std::byte*>(bytes.data()),
                               bytes.size(), "a.gguf"};
  std::vector<float> out(32);
  io::decode_rows(block, 0, View<float>(out.data(), 1, 32));
  return out;
}

constexpr std::uint16_t one_half = 0x3800;       // 0.5 in half precision
constexpr std::uint16_t minus_quarter = 0xB400;  // -0.25

}  // namespace

TEST_CASE("Q8_0 is d times a signed byte") {
  std::string bytes = raw(one_half);
  for (int j = 0; j < 32; ++j) {
    bytes += static_cast<char>(j == 0 ? -128 : j == 1 ? 127 : j);
  }
  const auto values = decoded_block(io::Dtype::q8_0, bytes);
  CHECK(values[0] == -64);
  CHECK(values[1] == 63.5f);
  CHECK(values[2] == 1);
  CHECK(values[31] == 15.5f);
}

TEST_CASE("Q4_0 is d (q - 8) and Q4_1 is d q + m, low nibbles first") {
  std::string nibbles;
  for (int j = 0; j < 16; ++j) {
    nibbles += static_cast<char>(j | ((15 - j) << 4));  // low nibbles 0..15, high nibbles 15..0
  }
  const auto q4_0 = decoded_block(io::Dtype::q4_0, raw(one_half) + nibbles);
  const auto q4_1 = decoded_block(io::Dtype::q4_1, raw(one_half) + raw(minus_quarter) + nibbles);
  for (std::size_t j = 0; j < 32; ++j) {
    const float q = j < 16 ? static_cast<float>(j) : 31 - static_cast<float>(j);
    CHECK(q4_0[j] == 0.5f * (q - 8));
    CHECK(q4_1[j] == 0.5f * q - 0.25f);
  }
}

TEST_CASE("Q5_0 is d (q - 16) and Q5_1 is d q + m, with the fifth bits in a word of their own") {
  const std::string high = raw(std::uint32_t{0x80000001});  // of the first number and the last
  const std::string nibbles = raw(std::uint8_t{0x01}) + std::string(14, '\0') + raw(std::uint8_t{0x20});
  const auto q5_0 = decoded_block(io::Dtype::q5_0, raw(one_half) + high + nibbles);
  const auto q5_1 = decoded_block(io::Dtype::q5_1, raw(one_half) + raw(minus_quarter) + high + nibbles);
  CHECK((q5_0[0] == 0.5f && q5_0[1] == -8 && q5_0[31] == 1));
  CHECK((q5_1[0] == 8.25f && q5_1[1] == -0.25f && q5_1[31] == 8.75f));
}

TEST_CASE("blocks of 32 decode into the numbers that gguf-py reads, random ones and real weights") {
  using enum io::Dtype;
  for (const io::Dtype dtype : {q8_0, q4_0, q4_1, q5_0, q5_1, iq4_nl}) {
    INFO(io::dtype_name(dtype));
    CHECK(test::unlike_gguf_py(dtype) == 0);
  }
}
