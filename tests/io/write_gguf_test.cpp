// SPDX-License-Identifier: Apache-2.0
#include <graft/io/write_gguf.hpp>

#include <cstdint>
#include <string>
#include <vector>

#include <graft/core/tensor.hpp>
#include <graft/io/encode.hpp>
#include <graft/io/safetensors.hpp>

#include "support/catch.hpp"
#include "support/files.hpp"
#include "support/paths.hpp"

using namespace graft;
using io::Dtype;

namespace {

io::GgufMetadata every_type() {
  io::GgufMetadata metadata;
  metadata.set("general.architecture", "llama");
  metadata.set("a.uint8", std::uint8_t{200});
  metadata.set("a.int8", std::int8_t{-3});
  metadata.set("a.uint16", std::uint16_t{60000});
  metadata.set("a.int16", std::int16_t{-5});
  metadata.set("a.uint32", std::uint32_t{4000000000});
  metadata.set("a.int32", std::int32_t{0});
  metadata.set("a.float32", 0.5F);
  metadata.set("a.bool", true);
  metadata.set("a.string", std::string("some words"));
  metadata.set("a.uint64", std::uint64_t{1} << 40);
  metadata.set("a.int64", -(std::int64_t{1} << 40));
  metadata.set("a.float64", 1e-300);
  metadata.set("a.texts", std::vector<std::string>{"a", "", "ccc"});
  metadata.set("a.ints", std::vector<std::int32_t>{1, -2});
  metadata.set("a.floats", std::vector<float>{0.25F, -1});
  metadata.set("a.bools", std::vector<bool>{true, false, true});
  metadata.set("a.int32", std::int32_t{-7});  // replaced where it stands
  return metadata;
}

io::TensorRef named_ref(const std::string& name, Dtype dtype, std::vector<Index> shape) {
  io::TensorRef tensor{name, dtype, std::move(shape), nullptr, 0, {}};
  tensor.bytes = *io::byte_count(dtype, std::span(tensor.shape));
  return tensor;
}

}  // namespace

TEST_CASE("a file with metadata and tensors of every kind is the one that gguf-py wrote, byte by byte") {
  const auto golden = io::Safetensors::open(test::golden("io/encoded.safetensors"));
  Tensor<float> values(golden.at("values").rows(), 64);
  io::decode_rows(golden.at("values"), 0, values.view());
  const std::vector<io::TensorRef> tensors = {
      named_ref("one.weight", Dtype::f32, {3}), named_ref("two.weight", Dtype::f16, {3, 64}),
      named_ref("three.weight", Dtype::q8_0, {3, 64}), named_ref("four.weight", Dtype::bf16, {3, 64})};
  const test::TempFolder folder;
  std::vector<std::byte> bytes;
  io::write_gguf(folder.path("a.gguf"), every_type(), tensors, [&](const io::TensorRef& tensor) {
    const auto block = std::as_const(values).view().middle_rows(tensor.rows() == 1 ? 4 : 3, tensor.rows());
    bytes = io::encode(tensor, block.middle_cols(0, tensor.cols()));
    return std::span<const std::byte>(bytes);
  });
  CHECK(test::slurp(folder.path("a.gguf")) == test::slurp(test::golden("io/written.gguf")));
}

TEST_CASE("pairs of a file are carried on as they stand, types included") {
  const std::string golden = test::golden("io/written.gguf");
  const auto file = io::Gguf::open(golden);
  io::GgufMetadata metadata;
  for (const io::GgufField& field : file.fields()) {
    metadata.set(field);
  }
  const test::TempFolder folder;
  io::write_gguf(folder.path("a.gguf"), metadata, file.tensors());
  CHECK(test::slurp(folder.path("a.gguf")) == test::slurp(golden));
  metadata.erase("a.texts");
  CHECK(metadata.size() == file.fields().size() - 1);
}

TEST_CASE("tensors that GGUF has no place for are refused, and nothing is left behind") {
  const test::TempFolder folder;
  const auto error = [&](const std::vector<io::TensorRef>& tensors) {
    return test::error_of([&] { io::write_gguf(folder.path("a.gguf"), io::GgufMetadata(), tensors); }).id();
  };
  const io::TensorRef good = named_ref("a", Dtype::f32, {0});
  CHECK(error({good, good}) == "io.272");
  CHECK(error({named_ref(std::string(64, 'n'), Dtype::f32, {0})}) == "io.272");
  CHECK(error({named_ref("a", Dtype::boolean, {0})}) == "io.272");
  CHECK(error({named_ref("a", Dtype::f32, {0, 1, 1, 1, 1})}) == "io.272");
  io::TensorRef shorter = named_ref("a", Dtype::f32, {8});
  shorter.bytes = 4;
  CHECK(error({shorter}) == "io.272");
  const auto fails = [&] {
    io::write_gguf(folder.path("a.gguf"), io::GgufMetadata(), std::vector{named_ref("a", Dtype::f32, {8})},
                   [](const io::TensorRef& tensor) -> std::span<const std::byte> { fail("io.271", "", tensor.name); });
  };
  CHECK(test::error_of(fails).id() == "io.271");
  const auto shorter_bytes = [&] {
    io::write_gguf(folder.path("a.gguf"), io::GgufMetadata(), std::vector{named_ref("a", Dtype::f32, {8})},
                   [](const io::TensorRef&) { return std::span<const std::byte>(); });
  };
  CHECK(test::error_of(shorter_bytes).id() == "io.274");
  CHECK(folder.entries() == 0);
}
