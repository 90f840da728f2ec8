// SPDX-License-Identifier: Apache-2.0
#include <graft/io/k_quants.hpp>

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include <graft/io/gguf.hpp>

#include "support/catch.hpp"
#include "support/files.hpp"
#include "support/gguf_builder.hpp"
#include "support/golden_quants.hpp"

using namespace graft;
using io::Dtype;
using test::raw;

namespace {

constexpr std::array k_types = {Dtype::q2_k, Dtype::q3_k, Dtype::q4_k, Dtype::q5_k, Dtype::q6_k};
constexpr std::uint32_t first_k_number = 10;  // of Q2_K among ggml's types; the others follow it

std::string one_block(Dtype dtype) {
  return std::string(io::byte_count(dtype, 256), '\0');
}

}  // namespace

TEST_CASE("K-quants decode into the numbers that gguf-py reads, random blocks and real weights") {
  for (const Dtype dtype : k_types) {
    INFO(io::dtype_name(dtype));
    CHECK(test::unlike_gguf_py(dtype) == 0);
  }
}

TEST_CASE("Q4_K is d s q - e m, eight runs of 32 with their own s and m") {
  std::string block = raw(std::uint16_t{0x3800}) + raw(std::uint16_t{0x3C00});  // d 0.5, e 1
  block += std::string("\x01\0\0\0\x02\0\0\0\0\0\0\x43", 12);                   // run 0: s 1, m 2; run 7: s 3, m 4
  block += std::string(128, '\x7B');                                            // low nibble 11, high nibble 7
  std::vector<float> values(256);
  io::detail::decode_q4_k(reinterpret_cast<const std::byte*>(block.data()), 256, values.data());
  CHECK(values[0] == 0.5f * 1 * 11 - 2);
  CHECK(values[31] == values[0]);
  CHECK(values[32] == 0);
  CHECK(values[255] == 0.5f * 3 * 7 - 4);
}

TEST_CASE("a GGUF file gives K-quants by ggml's numbers, each row beginning at its own block") {
  const test::TempFolder folder;
  test::GgufBuilder builder;
  std::uint32_t number = first_k_number;
  for (const Dtype dtype : k_types) {
    builder.tensor(std::string(io::dtype_name(dtype)), {3, 512}, number++,
                   std::string(6 * one_block(dtype).size(), '\0'));
  }
  const auto file = io::Gguf::open(folder.write("a.gguf", builder.bytes()));
  for (const Dtype dtype : k_types) {
    const io::TensorRef& tensor = *file.find(io::dtype_name(dtype));
    CHECK(tensor.dtype == dtype);
    CHECK(tensor.bytes == 6 * one_block(dtype).size());
    CHECK(io::is_real(tensor.dtype));
  }
}

TEST_CASE("rows that would break a block of 256 are io.237, a cut block is io.234") {
  const test::TempFolder folder;
  std::uint32_t number = first_k_number;
  for (const Dtype dtype : k_types) {
    const std::string block = one_block(dtype);
    const auto opened = [&](const std::vector<Index>& shape, const std::string& bytes) {
      const std::string path = folder.write("a.gguf", test::GgufBuilder().tensor("w", shape, number, bytes).bytes());
      return test::error_of([&] { (void)io::Gguf::open(path); });
    };
    CHECK(opened({2, 256}, block + block).id() == "none");
    CHECK_THAT(opened({2, 128}, block).what(),
               test::contains("io.237") && test::contains("\"w\"") && test::contains("128") && test::contains("256"));
    CHECK(opened({576}, block + block + block).id() == "io.237");
    CHECK_THAT(opened({2, 256}, block + block.substr(1)).what(),
               test::contains("io.234") && test::contains("truncated"));
    ++number;
  }
}
