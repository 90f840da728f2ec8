// SPDX-License-Identifier: Apache-2.0
#include <graft/io/dtype.hpp>

#include <limits>
#include <string>
#include <vector>

#include "support/catch.hpp"

using namespace graft;
using io::Dtype;

TEST_CASE("every dtype is found again by its name") {
  for (int i = 0; i <= static_cast<int>(Dtype::q6_k); ++i) {
    const auto dtype = static_cast<Dtype>(i);
    CHECK(io::dtype_named(io::dtype_name(dtype)) == dtype);
  }
  CHECK(io::dtype_name(Dtype::boolean) == "BOOL");
  CHECK(io::dtype_name(Dtype::q4_1) == "Q4_1");
  CHECK_FALSE(io::dtype_named("F8_E4M3"));
}

TEST_CASE("messages list every dtype that weights may have, and no other") {
  for (int i = 0; i <= static_cast<int>(Dtype::q6_k); ++i) {
    const auto dtype = static_cast<Dtype>(i);
    const std::string list = ", " + std::string(io::real_dtypes) + ",";
    CHECK((list.find(" " + std::string(io::dtype_name(dtype)) + ",") != std::string::npos) == io::is_real(dtype));
  }
}

TEST_CASE("sizes are those of the formats: a Q4_1 block of 32 takes 20 bytes") {
  CHECK(io::byte_count(Dtype::f64, 3) == 24);
  CHECK(io::byte_count(Dtype::bf16, 3) == 6);
  CHECK(io::byte_count(Dtype::q8_0, 64) == 68);
  CHECK(io::byte_count(Dtype::q4_0, 64) == 36);
  CHECK(io::byte_count(Dtype::q4_1, 64) == 40);
  CHECK(io::byte_count(Dtype::q5_1, 64) == 48);
  CHECK(io::byte_count(Dtype::q4_k, 512) == 288);
  CHECK(io::byte_count(Dtype::q6_k, 512) == 420);
}

TEST_CASE("a shape that is negative, overflows, or breaks a block inside a row has no size") {
  const auto size = [](Dtype dtype, const std::vector<Index>& shape) { return io::byte_count(dtype, shape); };
  constexpr Index huge = std::numeric_limits<Index>::max();
  CHECK(size(Dtype::f32, {2, 3}) == 24);
  CHECK(size(Dtype::f32, {}) == 4);
  CHECK(size(Dtype::f32, {0, huge}) == 0);
  CHECK_FALSE(size(Dtype::f32, {-1, 3}));
  CHECK_FALSE(size(Dtype::f32, {huge, huge}));
  CHECK_FALSE(size(Dtype::f32, {Index{1} << 40, Index{1} << 40}));
  CHECK(size(Dtype::q8_0, {3, 64}) == 204);
  CHECK_FALSE(size(Dtype::q8_0, {64, 3}));
  CHECK_FALSE(size(Dtype::q4_k, {256, 128}));
}

TEST_CASE("real dtypes are those that weights may have") {
  CHECK((io::is_real(Dtype::f64) && io::is_real(Dtype::bf16) && io::is_real(Dtype::q8_0) && io::is_real(Dtype::q4_1)));
  CHECK_FALSE((io::is_real(Dtype::i64) || io::is_real(Dtype::u8) || io::is_real(Dtype::boolean)));
}

TEST_CASE("a shape reads as a list") {
  CHECK(io::shape_text(std::vector<Index>{576, 1536}) == "[576, 1536]");
  CHECK(io::shape_text(std::vector<Index>{}) == "[]");
}
