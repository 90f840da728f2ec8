// SPDX-License-Identifier: Apache-2.0
#include <graft/io/safetensors.hpp>

#include <cstdint>
#include <map>
#include <string>

#include <graft/core/tensor.hpp>

#include "support/catch.hpp"
#include "support/files.hpp"
#include "support/paths.hpp"

using namespace graft;
using test::contains;
using test::error_of;
using test::raw;

namespace {

/// A file of that header over `data` zero bytes.
std::string file_of(const std::string& header, std::size_t data) {
  return raw(std::uint64_t{header.size()}) + header + std::string(data, '\0');
}

std::string entry(const std::string& name, const std::string& dtype, const std::string& shape,
                  const std::string& offsets) {
  return "\"" + name + R"(":{"dtype":")" + dtype + R"(","shape":)" + shape + R"(,"data_offsets":)" + offsets + "}";
}

Error safetensors_error(const std::string& bytes) {
  const test::TempFolder folder;
  const std::string path = folder.write("a.safetensors", bytes);
  return error_of([&] { (void)io::Safetensors::open(path); });
}

}  // namespace

TEST_CASE("a model that transformers saved opens with its names, dtypes and shapes") {
  const auto file = io::Safetensors::open(test::golden("models/llama-gqa/model-bf16.safetensors"));
  CHECK(file.tensors().size() == 29);
  CHECK(file.metadata() == std::map<std::string, std::string>{{"format", "pt"}});
  const io::TensorRef& k = file.at("model.layers.2.self_attn.k_proj.weight");
  CHECK(k.dtype == io::Dtype::bf16);
  CHECK(k.shape == std::vector<Index>{16, 48});
  CHECK(k.bytes == 16 * 48 * 2);
  CHECK(file.find("lm_head.weight") == nullptr);
  const Error error = error_of([&] { (void)file.at("model.layers.2.self_attn.k_porj.weight"); });
  CHECK(error.id() == "io.225");
  CHECK_THAT(error.what(), contains("nearest name in the file is \"model.layers.2.self_attn.k_proj.weight\"") &&
                               contains("model-bf16.safetensors"));
}

TEST_CASE("what is written is read back bit by bit, each tensor fit for use in place") {
  const test::TempFolder folder;
  Tensor<float> w(3, 5);
  Tensor<bf16> h(1, 3);
  Tensor<double> d(2, 2);
  const std::vector<std::int32_t> j = {4, 2};
  w(2, 4) = 0.1f;
  h(0, 2) = bf16(3.0f);
  d(1, 1) = 1e-300;
  const io::TensorRef list = {"J", io::Dtype::i32, {2}, reinterpret_cast<const std::byte*>(j.data()), 8, ""};
  const std::vector<io::TensorRef> tensors = {io::tensor_ref("a", h.view(), {3}), io::tensor_ref("b", w.view()),
                                              io::tensor_ref("c", d.view()), list};
  io::write_safetensors(folder.path("x.safetensors"), tensors, {{"format", "pt"}, {"who", "we \"all\""}});
  CHECK(folder.entries() == 1);
  const auto file = io::Safetensors::open(folder.path("x.safetensors"));
  CHECK(file.metadata().at("who") == "we \"all\"");
  CHECK(file.at("a").shape == std::vector<Index>{3});
  CHECK((*io::in_place<float>(file.at("b")))(2, 4) == 0.1f);
  CHECK((*io::in_place<bf16>(file.at("a")))(0, 2) == bf16(3.0f));
  CHECK((*io::in_place<double>(file.at("c")))(1, 1) == 1e-300);
  CHECK(io::read_integers(file.at("J")) == std::vector<Index>{4, 2});
}

TEST_CASE("mlx's null under __metadata__ is no metadata") {
  const test::TempFolder folder;
  const std::string header = R"({"__metadata__":null,)" + entry("a", "F32", "[1]", "[0,4]") + "}";
  const auto file = io::Safetensors::open(folder.write("a.safetensors", file_of(header, 4)));
  CHECK(file.metadata().empty());
  CHECK(file.tensors().size() == 1);
}

TEST_CASE("a tensor that the format has no place for is not written, and no file appears") {
  const test::TempFolder folder;
  Tensor<float> w(2, 2);
  const io::TensorRef good = io::tensor_ref("w", w.view());
  io::TensorRef quantised = good;
  quantised.dtype = io::Dtype::q8_0;
  io::TensorRef paired = good;
  paired.pair_heads = 1;
  io::TensorRef reserved = good;
  reserved.name = "__metadata__";
  for (const auto& tensors : std::vector<std::vector<io::TensorRef>>{{good, good}, {quantised}, {paired}, {reserved}}) {
    CHECK(error_of([&] { io::write_safetensors(folder.path("x"), tensors); }).id() == "io.226");
  }
  CHECK(folder.entries() == 0);
}

TEST_CASE("a file that is cut at any byte is one error that names it") {
  const std::string whole = test::slurp(test::golden("models/llama-gqa-sharded/model-00001-of-00002.safetensors"));
  for (const std::size_t size :
       {std::size_t{0}, std::size_t{7}, std::size_t{8}, std::size_t{500}, std::size_t{5000}, whole.size() - 1}) {
    const Error error = safetensors_error(whole.substr(0, size));
    INFO(size << " " << error.what());
    CHECK((error.id() == "io.220" || error.id() == "io.223"));
    CHECK_THAT(error.what(), contains("a.safetensors") && contains("truncated"));
  }
  CHECK(safetensors_error(whole).id() == "none");
}

TEST_CASE("a header of absurd size or another form than the format's is refused") {
  CHECK_THAT(safetensors_error(raw(~std::uint64_t{0}) + "{}").what(),
             contains("io.220") && contains("18446744073709551615"));
  CHECK(safetensors_error(raw(std::uint64_t{200'000'000}) + "{}").id() == "io.220");
  CHECK(safetensors_error(file_of("[]", 0)).id() == "io.221");
  CHECK(safetensors_error(file_of(R"({"w":7})", 0)).id() == "io.221");
  CHECK(safetensors_error(file_of("{\"w\":", 0)).id() == "io.210");
  CHECK(safetensors_error(
            file_of("{" + entry("w", "F32", "[1]", "[0,4]") + "," + entry("w", "F32", "[1]", "[4,8]") + "}", 8))
            .id() == "io.211");
  CHECK(safetensors_error(file_of(R"({"w":{"dtype":"F32","shape":[1]}})", 4)).id() == "io.212");
  CHECK(safetensors_error(file_of(R"({"__metadata__":{"a":1}})", 0)).id() == "io.212");
  CHECK(safetensors_error(file_of("{}   ", 0)).id() == "none");
}

TEST_CASE("a tensor of unknown dtype is refused with the dtypes that are read") {
  const Error error = safetensors_error(file_of("{" + entry("w", "F8_E4M3", "[4]", "[0,4]") + "}", 4));
  CHECK(error.id() == "io.222");
  CHECK_THAT(error.what(), contains("\"w\"") && contains("F8_E4M3") && contains("BF16"));
  CHECK(safetensors_error(file_of("{" + entry("w", "Q8_0", "[32]", "[0,34]") + "}", 34)).id() == "io.222");
}

TEST_CASE("offsets that leave the file, run backwards or disagree with dtype and shape are refused") {
  const auto with = [](const std::string& dtype, const std::string& shape, const std::string& offsets) {
    return safetensors_error(file_of("{" + entry("w", dtype, shape, offsets) + "}", 16));
  };
  CHECK(with("F32", "[2,2]", "[0,16]").id() == "none");
  CHECK_THAT(with("F32", "[2,3]", "[0,24]").what(),
             contains("io.223") && contains("[0, 24]") && contains("16 data bytes"));
  CHECK(with("F32", "[2,2]", "[16,0]").id() == "io.223");
  CHECK(with("F32", "[2,2]", "[0,16,16]").id() == "io.223");
  CHECK(with("F32", "[2,2]", "[-16,0]").id() == "io.223");
  CHECK_THAT(with("F64", "[2,2]", "[0,16]").what(), contains("io.223") && contains("takes 32 bytes, found 16"));
  CHECK_THAT(with("F32", "[4294967296,4294967296]", "[0,16]").what(), contains("absurd"));
  CHECK(with("F32", "[-2,-2]", "[0,16]").id() == "io.223");
  CHECK(with("F32", "[2,2]", "[0,99999999999999999999]").id() == "io.212");
}

TEST_CASE("tensors that overlap, leave a hole or leave bytes at the end are refused") {
  const auto with = [](const std::string& first, const std::string& second) {
    return safetensors_error(
        file_of("{" + entry("a", "F32", "[2]", first) + "," + entry("b", "F32", "[2]", second) + "}", 20));
  };
  CHECK_THAT(with("[0,8]", "[4,12]").what(), contains("io.224") && contains("\"b\"") && contains("overlap"));
  CHECK_THAT(with("[0,8]", "[12,20]").what(), contains("io.224") && contains("hole"));
  CHECK_THAT(with("[0,8]", "[8,16]").what(), contains("io.224") && contains("no tensor"));
}
