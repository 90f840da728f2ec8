// SPDX-License-Identifier: Apache-2.0
#include <graft/io/gguf.hpp>

#include <cstdint>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/files.hpp"
#include "support/gguf_builder.hpp"
#include "support/paths.hpp"

using namespace graft;
using test::contains;
using test::error_of;
using test::GgufBuilder;
using test::raw;

namespace {

const std::string eight(8 * sizeof(float), '\0');

Error gguf_error(const std::string& bytes) {
  const test::TempFolder folder;
  const std::string path = folder.write("a.gguf", bytes);
  return error_of([&] { (void)io::Gguf::open(path); });
}

Error gguf_error(const GgufBuilder& builder) {
  return gguf_error(builder.bytes());
}

}  // namespace

TEST_CASE("metadata of every type is read as what it is") {
  const test::TempFolder folder;
  GgufBuilder builder;
  builder.pair("u8", 0, raw(std::uint8_t{200}))
      .pair("i8", 1, raw(std::int8_t{-3}))
      .pair("u16", 2, raw(std::uint16_t{60000}));
  builder.pair("i16", 3, raw(std::int16_t{-5}))
      .add("u32", 4000000000u)
      .pair("i32", 5, raw(std::int32_t{-7}))
      .add("f32", 0.5f);
  builder.pair("bool", 7, raw(std::uint8_t{1}))
      .add("text", std::string("some words"))
      .pair("u64", 10, raw(std::uint64_t{1} << 40));
  builder.pair("i64", 11, raw(-(std::int64_t{1} << 40))).pair("f64", 12, raw(1e-300));
  builder.add("texts", std::vector<std::string>{"a", "", "ccc"}).list("ints", 5, std::vector<std::int32_t>{1, -2});
  builder.list("floats", 6, std::vector<float>{0.25f, -1}).list("none", 4, std::vector<std::uint32_t>{});
  for (const std::uint32_t version : {2u, 3u}) {
    builder.version = version;
    const auto file = io::Gguf::open(folder.write("a.gguf", builder.bytes()));
    CHECK(file.metadata().size() == 16);
    CHECK(file.at<std::int64_t>("u8") == 200);
    CHECK(file.at<std::int64_t>("i8") == -3);
    CHECK(file.at<std::int64_t>("u16") == 60000);
    CHECK(file.at<std::int64_t>("i16") == -5);
    CHECK(file.at<std::int64_t>("u32") == 4000000000);
    CHECK(file.at<std::int64_t>("i32") == -7);
    CHECK(file.at<double>("f32") == 0.5);
    CHECK(file.at<bool>("bool"));
    CHECK(file.at<std::string_view>("text") == "some words");
    CHECK(file.at<std::int64_t>("u64") == std::int64_t{1} << 40);
    CHECK(file.at<std::int64_t>("i64") == -(std::int64_t{1} << 40));
    CHECK(file.at<double>("f64") == 1e-300);
    CHECK(file.at<std::vector<std::string_view>>("texts") == std::vector<std::string_view>{"a", "", "ccc"});
    CHECK(file.at<std::vector<std::int64_t>>("ints") == std::vector<std::int64_t>{1, -2});
    CHECK(file.at<std::vector<double>>("floats") == std::vector<double>{0.25, -1});
    CHECK(file.at<std::vector<std::int64_t>>("none").empty());
    CHECK(file.at<double>("i8") == -3.0);
    CHECK_FALSE(file.get<bool>("absent"));
    CHECK(error_of([&] { (void)file.at<bool>("absent"); }).id() == "io.235");
    CHECK_THAT(error_of([&] { (void)file.at<bool>("text"); }).what(),
               contains("io.235") && contains("\"text\"") && contains("a.gguf"));
  }
}

TEST_CASE("tensors lie where the file says, rows first, at its own alignment") {
  const test::TempFolder folder;
  GgufBuilder builder;
  builder.alignment = 64;
  builder.add("general.alignment", 64u);
  builder.tensor("a", {3}, 0, raw(1.0f) + raw(2.0f) + raw(3.0f)).tensor("b", {2, 32}, 8, std::string(68, 'q'));
  const auto file = io::Gguf::open(folder.write("a.gguf", builder.bytes()));
  REQUIRE(file.tensors().size() == 2);
  const io::TensorRef& a = file.tensors()[0];
  const io::TensorRef& b = file.tensors()[1];
  CHECK((a.name == "a" && a.dtype == io::Dtype::f32 && a.shape == std::vector<Index>{3} && a.bytes == 12));
  CHECK((b.name == "b" && b.dtype == io::Dtype::q8_0 && b.shape == std::vector<Index>{2, 32} && b.bytes == 68));
  CHECK(raw(*reinterpret_cast<const float*>(a.data + 8)) == raw(3.0f));
  CHECK(b.data - a.data == 64);
  CHECK(std::to_integer<char>(b.data[67]) == 'q');
  CHECK(file.find("b") == &b);
  CHECK(file.find("c") == nullptr);
}

TEST_CASE("a file that is not GGUF, or of another version or byte order, is io.230") {
  GgufBuilder builder;
  builder.version = 1;
  CHECK_THAT(gguf_error(builder).what(), contains("io.230") && contains("version 1"));
  builder.version = 0x03000000;
  CHECK_THAT(gguf_error(builder).what(), contains("io.230") && contains("little-endian"));
  CHECK(gguf_error("GGML and more").id() == "io.230");
  CHECK(gguf_error("GG").id() == "io.230");
  CHECK(gguf_error("").id() == "io.230");
}

TEST_CASE("a file that is cut at any byte is one error that names it, never a crash") {
  GgufBuilder builder;
  builder.add("text", std::string("words")).add("texts", std::vector<std::string>{"a", "b"});
  builder.list("floats", 6, std::vector<float>{1, 2, 3}).tensor("w", {2, 4}, 0, eight);
  const std::string whole = builder.bytes();
  CHECK(gguf_error(whole).id() == "none");
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const Error error = gguf_error(whole.substr(0, size));
    INFO(size << " " << error.what());
    CHECK((error.id() == "io.230" || error.id() == "io.231" || error.id() == "io.232" || error.id() == "io.234"));
    CHECK_THAT(error.what(), contains("a.gguf"));
  }
}

TEST_CASE("counts and lengths beyond the file are refused before anything is allocated") {
  constexpr std::uint64_t absurd = std::uint64_t{1} << 60;
  GgufBuilder builder;
  builder.tensor_count = absurd;
  CHECK_THAT(gguf_error(builder).what(), contains("io.232") && contains("tensors"));
  builder = {};
  builder.pair_count = absurd;
  CHECK_THAT(gguf_error(builder).what(), contains("io.232") && contains("metadata pairs"));
  CHECK(gguf_error(GgufBuilder().pair("k", 8, raw(absurd))).id() == "io.231");
  CHECK_THAT(gguf_error(GgufBuilder().pair("k", 9, raw(std::uint32_t{8}) + raw(absurd))).what(),
             contains("io.232") && contains("\"k\""));
  CHECK(gguf_error(GgufBuilder().pair("k", 10, raw(~std::uint64_t{0}))).id() == "io.232");
  CHECK_THAT(gguf_error(GgufBuilder().head("w", {1, 1, 1, 1, 1}, 0, 0)).what(),
             contains("io.232") && contains("5 dimensions"));
  CHECK(gguf_error(GgufBuilder().head("w", {Index{1} << 40, Index{1} << 40}, 0, 0)).id() == "io.232");
  CHECK(gguf_error(GgufBuilder().head("w", {-1}, 0, 0)).id() == "io.232");
  CHECK(gguf_error(GgufBuilder().head("w", {2, 31}, 8, 0)).id() == "io.237");
}

TEST_CASE("types that graft does not read are named") {
  CHECK_THAT(gguf_error(GgufBuilder().tensor("w", {256}, 16, std::string(66, '\0'))).what(),
             contains("io.233") && contains("\"w\"") && contains("IQ2_XXS") && contains("Q4_K"));
  CHECK_THAT(gguf_error(GgufBuilder().tensor("w", {256}, 77, "")).what(), contains("io.233") && contains("type 77"));
  CHECK_THAT(gguf_error(GgufBuilder().pair("k", 13, "")).what(), contains("io.233") && contains("\"k\""));
  CHECK(gguf_error(GgufBuilder().pair("k", 9, raw(std::uint32_t{13}) + raw(std::uint64_t{0}))).id() == "io.233");
  const std::string inner = raw(std::uint32_t{4}) + raw(std::uint64_t{0});
  CHECK_THAT(gguf_error(GgufBuilder().pair("k", 9, raw(std::uint32_t{9}) + raw(std::uint64_t{1}) + inner)).what(),
             contains("io.233") && contains("array of arrays"));
}

TEST_CASE("tensors out of the file, off the alignment, overlapping or named twice are io.234") {
  const auto with = [](std::uint64_t first, std::uint64_t second, const std::string& name = "b") {
    GgufBuilder builder;
    builder.head("a", {8}, 0, first).head(name, {8}, 0, second);
    builder.data = eight + eight;
    return gguf_error(builder);
  };
  CHECK(with(0, 32).id() == "none");
  CHECK_THAT(with(0, 64).what(), contains("io.234") && contains("\"b\"") && contains("64 data bytes"));
  CHECK(with(0, ~std::uint64_t{31}).id() == "io.234");
  CHECK_THAT(with(0, 4).what(), contains("multiple of 32"));
  CHECK_THAT(with(32, 32).what(), contains("\"a\" and \"b\" overlap"));
  CHECK_THAT(with(0, 32, "a").what(), contains("\"a\" stands twice"));
  CHECK_THAT(gguf_error(GgufBuilder().add("k", 1u).add("k", 2u)).what(),
             contains("io.234") && contains("\"k\" stands twice"));
  CHECK_THAT(gguf_error(GgufBuilder().add("general.alignment", 48u)).what(),
             contains("io.234") && contains("power of two"));
  CHECK(gguf_error(GgufBuilder().add("general.alignment", 0u)).id() == "io.234");
}

TEST_CASE("SmolLM2's file holds 61 F32, 210 Q4_1 and 1 Q8_0 tensors", "[real]") {
  const auto file = io::Gguf::open(test::smollm2());
  const auto count = [&](io::Dtype dtype) {
    return std::count_if(file.tensors().begin(), file.tensors().end(), [&](const auto& t) { return t.dtype == dtype; });
  };
  CHECK(count(io::Dtype::f32) == 61);
  CHECK(count(io::Dtype::q4_1) == 210);
  CHECK(count(io::Dtype::q8_0) == 1);
  CHECK(file.at<std::string_view>("general.architecture") == "llama");
}
