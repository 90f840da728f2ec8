// SPDX-License-Identifier: Apache-2.0
#include <graft/io/torch_zip.hpp>

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include <graft/core/tensor.hpp>
#include <graft/io/decode.hpp>
#include <graft/io/safetensors.hpp>

#include "support/catch.hpp"
#include "support/files.hpp"
#include "support/paths.hpp"
#include "support/zip_builder.hpp"

using namespace graft;
using test::contains;
using test::raw;
using test::ZipMember;

namespace {

const std::string torch_block_0 = "intkey_layer_0_comp_block_output_unit_pos_nunit_1#0.bin";

io::NamedTensors golden_bin(const std::string& name) {
  return io::open_torch_zip(test::golden("reft/" + name + "/saved/" + torch_block_0));
}

Tensor<double> numbers_of(const io::TensorRef& tensor) {
  Tensor<double> values(tensor.rows(), tensor.cols());
  io::decode_rows(tensor, 0, values.view());
  return values;
}

bool same(const Tensor<double>& a, const Tensor<double>& b) {
  return a.rows() == b.rows() && a.cols() == b.cols() && std::equal(a.data(), a.data() + a.size(), b.data());
}

const std::vector<float> six = {1, 2, 3, 4, 5, 6};
const std::string six_bytes(reinterpret_cast<const char*>(six.data()), 24);

/// The pickle of one tensor "w" of 2 x 3 floats.
std::string six_pickle() {
  const io::TensorRef w = {"w", io::Dtype::f32, {2, 3}, reinterpret_cast<const std::byte*>(six.data()), 24, {}};
  return io::write_state_dict(std::span(&w, 1), "a.bin");
}

std::vector<ZipMember> six_members() {
  return {{"archive/data.pkl", six_pickle()}, {"archive/data/0", six_bytes}, {"archive/version", "3\n"}};
}

Error torch_zip_error(const std::string& bytes) {
  const test::TempFolder folder;
  const std::string path = folder.write("a.bin", bytes);
  return test::error_of([&] { (void)io::open_torch_zip(path); });
}

/// The pickle of one float tensor of that shape, strides and offset, in a storage of `numel`.
std::string laid_out(const std::vector<Index>& shape, const std::vector<Index>& strides, Index offset, Index numel) {
  const auto text = [](const std::string& value) {
    return "X" + raw(static_cast<std::uint32_t>(value.size())) + value;
  };
  const auto number = [](Index value) { return "\x8a\x08" + raw(value); };
  const auto tuple = [&](const std::vector<Index>& values) {
    std::string items = "(";
    for (const Index value : values) {
      items += number(value);
    }
    return items + "t";
  };
  return "\x80\x02}(" + text("w") + "ctorch._utils\n_rebuild_tensor_v2\n((" + text("storage") +
         "ctorch\nFloatStorage\n" + text("0") + text("cuda:0") + number(numel) + "tQ" + number(offset) + tuple(shape) +
         tuple(strides) + "\x89}tRu.";
}

}  // namespace

TEST_CASE("files of torch.save are read: names, shapes, dtypes and every number") {
  const auto file = golden_bin("loreft-tied");
  const auto io = io::Safetensors::open(test::golden("reft/loreft-tied/io.safetensors"));
  REQUIRE(file.tensors().size() == 3);
  CHECK(same(numbers_of(file.at("weight")), numbers_of(io.at("I0.W"))));
  CHECK(same(numbers_of(file.at("bias")), numbers_of(io.at("I0.b"))));
  const auto rotated = numbers_of(file.at("rotate_layer"));  // (d,r), the transpose of R
  const auto r = numbers_of(io.at("I0.R"));
  REQUIRE((rotated.rows() == r.cols() && rotated.cols() == r.rows()));
  for (Index i = 0; i < r.rows(); ++i) {
    for (Index j = 0; j < r.cols(); ++j) {
      CHECK(rotated(j, i) == r(i, j));
    }
  }
  CHECK(golden_bin("loreft-bf16").at("weight").dtype == io::Dtype::bf16);
}

TEST_CASE("scalars and integers of torch are what they are") {
  const auto file = golden_bin("consreft-tied");
  CHECK(file.at("embed_dim").dtype == io::Dtype::i64);
  CHECK(file.at("embed_dim").shape.empty());
  CHECK(io::read_integers(file.at("embed_dim")) == std::vector<Index>{48});
  CHECK(file.at("rotate_layer.parametrizations.weight.0.base").shape == std::vector<Index>{48, 48});
}

TEST_CASE("strides and an offset choose the elements of a storage") {
  const test::TempFolder folder;
  const auto opened = [&](const std::string& pickle) {
    return io::open_torch_zip(folder.write("a.bin", test::zip_of({{"x/data.pkl", pickle}, {"x/data/0", six_bytes}})));
  };
  const auto transposed = opened(laid_out({3, 2}, {1, 3}, 0, 6));
  CHECK(same(numbers_of(transposed.at("w")), [] {
    Tensor<double> t(3, 2);
    for (Index i = 0; i < 6; ++i) {
      t(i / 2, i % 2) = static_cast<double>(1 + i / 2 + 3 * (i % 2));
    }
    return t;
  }()));
  CHECK(numbers_of(opened(laid_out({2}, {1}, 4, 6)).at("w"))(0, 1) == 6);
  CHECK(numbers_of(opened(laid_out({2}, {0}, 5, 6)).at("w"))(0, 1) == 6);
  CHECK(opened(laid_out({0, 48}, {48, 1}, 0, 6)).at("w").bytes == 0);
  CHECK(numbers_of(opened(laid_out({}, {}, 2, 6)).at("w"))(0, 0) == 3);
}

TEST_CASE("what is written comes back bit by bit, stored, aligned and the same every time") {
  const test::TempFolder folder;
  std::vector<std::byte> bytes(96);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] = static_cast<std::byte>(i * 37);
  }
  const std::vector<io::TensorRef> refs = {{"weight", io::Dtype::f32, {4, 6}, bytes.data(), 96, {}},
                                           {"half", io::Dtype::f16, {3}, bytes.data() + 1, 6, {}},
                                           {"brain", io::Dtype::bf16, {2, 1}, bytes.data() + 3, 4, {}},
                                           {"double", io::Dtype::f64, {}, bytes.data() + 5, 8, {}},
                                           {"long", io::Dtype::i64, {1}, bytes.data() + 7, 8, {}},
                                           {"none", io::Dtype::f32, {0, 3}, bytes.data(), 0, {}}};
  io::write_torch_zip(folder.path("a.bin"), refs);
  io::write_torch_zip(folder.path("b.bin"), refs);
  const std::string whole = test::slurp(folder.path("a.bin"));
  CHECK(whole == test::slurp(folder.path("b.bin")));
  CHECK(whole.find(std::string(reinterpret_cast<const char*>(bytes.data()), 96)) % 64 == 0);
  const auto file = io::open_torch_zip(folder.path("a.bin"));
  REQUIRE(file.tensors().size() == refs.size());
  for (const io::TensorRef& ref : refs) {
    const io::TensorRef& found = file.at(ref.name);
    CHECK(found.dtype == ref.dtype);
    CHECK(found.shape == ref.shape);
    CHECK((found.bytes == ref.bytes && std::memcmp(found.data, ref.data, ref.bytes) == 0));
  }
}

TEST_CASE("a name that stands twice, or a folder that is not there, leaves no file") {
  const test::TempFolder folder;
  const io::TensorRef w = {"w", io::Dtype::f32, {2, 3}, reinterpret_cast<const std::byte*>(six.data()), 24, {}};
  const std::vector<io::TensorRef> twice = {w, w};
  CHECK(test::error_of([&] { io::write_torch_zip(folder.path("a.bin"), twice); }).id() == "io.266");
  CHECK(test::error_of([&] { io::write_torch_zip(folder.path("no/a.bin"), std::span(&w, 1)); }).id() == "io.202");
  CHECK(folder.entries() == 0);
}

TEST_CASE("a file that is cut at any byte, or is no zip file, is one error that names it") {
  const std::string whole = test::slurp(test::golden("reft/loreft-tied/saved/" + torch_block_0));
  const test::TempFolder folder;
  for (std::size_t size = 1; size < whole.size(); size += size < whole.size() - 1100 ? 13 : 1) {
    const std::string path = folder.write("a.bin", whole.substr(0, size));
    const Error error = test::error_of([&] { (void)io::open_torch_zip(path); });
    INFO(size << " " << error.what());
    CHECK(error.id() == "io.260");
    CHECK_THAT(error.what(), contains("a.bin"));
  }
  CHECK(torch_zip_error("").id() == "io.261");
  CHECK(torch_zip_error("\x80\x02}.").id() == "io.260");  // torch.save before 1.6: a bare pickle
  CHECK(test::error_of([&] { (void)io::open_torch_zip(folder.path("absent")); }).id() == "io.201");
}

TEST_CASE("a changed byte in the pickle or in a number fails the checksum") {
  const std::string whole = test::zip_of(six_members());
  CHECK(torch_zip_error(whole).id() == "none");
  for (const std::string& part : {six_pickle(), six_bytes}) {
    std::string changed = whole;
    changed[changed.find(part) + 3] ^= 1;
    const Error error = torch_zip_error(changed);
    CHECK(error.id() == "io.261");
    CHECK_THAT(error.what(), contains("checksum"));
  }
}

TEST_CASE("members that are compressed, encrypted, missing, double, or lie about their size are io.261") {
  const auto with = [](auto change) {
    auto members = six_members();
    change(members);
    return torch_zip_error(test::zip_of(members));
  };
  CHECK(with([](auto&) {}).id() == "none");
  const Error deflated = with([](auto& m) { m[1].method = 8; });
  CHECK(deflated.id() == "io.261");
  CHECK_THAT(deflated.what(), contains("archive/data/0") && contains("compressed"));
  CHECK(with([](auto& m) { m[1].flags = 1; }).id() == "io.261");
  CHECK_THAT(with([](auto& m) {
               m[1].size = 0xFFFFFFF0u;
               m[1].method = 8;
             }).what(),  // a zip bomb
             contains("io.261") && contains("24 bytes that become 4294967280"));
  for (const Error& error : {with([](auto& m) { m[1].size = m[1].stored = 1u << 30; }),
                             with([](auto& m) { m[1].size = m[1].stored = 23; })}) {
    INFO(error.what());
    CHECK((error.id() == "io.260" || error.id() == "io.261" || error.id() == "io.265"));
  }
  CHECK_THAT(with([](auto& m) { m.erase(m.begin() + 1); }).what(), contains("io.261") && contains("archive/data/0"));
  CHECK_THAT(with([](auto& m) { m.erase(m.begin()); }).what(), contains("io.261") && contains("data.pkl"));
  for (const Error& error : {with([](auto& m) { m.push_back(m[1]); }), with([](auto& m) {
                               for (int i = 1; i < 100; ++i) {  // a hundred members in the bytes of one
                                 m.push_back(m[1]);
                                 m.back().name = "archive/data/" + std::to_string(i);
                                 m.back().shares_bytes_of = 1;
                               }
                             })}) {
    INFO(error.what());
    CHECK((error.id() == "io.260" || error.id() == "io.261"));
  }
  CHECK_THAT(with([](auto& m) { m.push_back({"other/data.pkl", "x"}); }).what(), contains("data.pkl twice"));
  CHECK_THAT(with([](auto& m) { m.push_back({"archive/byteorder", "big"}); }).what(), contains("big-endian"));
}

TEST_CASE("no name of a member leads out of the file") {
  for (const char* name : {"../data.pkl", "/data.pkl", "archive/../../x", "archive\\data.pkl", "archive/.."}) {
    auto members = six_members();
    members.push_back({name, "x"});
    const Error error = torch_zip_error(test::zip_of(members));
    CHECK(error.id() == "io.261");
    CHECK_THAT(error.what(), contains(name));
  }
}

TEST_CASE("shapes, strides, offsets and counts that do not fit the storage are io.265") {
  const auto laid = [](const std::vector<Index>& shape, const std::vector<Index>& strides, Index offset, Index numel) {
    return torch_zip_error(
        test::zip_of({{"x/data.pkl", laid_out(shape, strides, offset, numel)}, {"x/data/0", six_bytes}}));
  };
  constexpr Index huge = std::numeric_limits<Index>::max();
  CHECK(laid({2, 3}, {3, 1}, 0, 6).id() == "none");
  const Error numel = laid({2, 3}, {3, 1}, 0, 7);
  CHECK(numel.id() == "io.265");
  CHECK_THAT(numel.what(), contains("\"w\"") && contains("claims 7 numbers") && contains("24 bytes"));
  CHECK(laid({2, 3}, {3, 1}, 1, 6).id() == "io.265");
  CHECK(laid({2, 3}, {4, 1}, 0, 6).id() == "io.265");
  CHECK(laid({3, 3}, {3, 1}, 0, 6).id() == "io.265");
  CHECK(laid({2, 3}, {1}, 0, 6).id() == "io.265");
  CHECK(laid({-1}, {1}, 0, 6).id() == "io.265");
  CHECK(laid({2}, {-1}, 3, 6).id() == "io.265");
  CHECK(laid({1}, {1}, -1, 6).id() == "io.265");
  CHECK(laid({1}, {1}, huge, 6).id() == "io.265");
  CHECK(laid({2}, {huge}, 1, 6).id() == "io.265");
  CHECK(laid({huge, huge}, {0, 0}, 0, 6).id() == "io.265");
  CHECK(laid({7}, {0}, 0, 6).id() == "io.265");  // seven numbers of one
  CHECK(laid({1, 1, 1, 1, 1, 1, 1, 1, 1}, {1, 1, 1, 1, 1, 1, 1, 1, 1}, 0, 6).id() == "io.265");
  std::string members = "\x80\x02}(";
  const std::string one = laid_out({6}, {1}, 0, 6);
  const std::string tensor = one.substr(one.find('c'), one.size() - one.find('c') - 2);
  for (char name = 'a'; name < 'z'; ++name) {  // many tensors in one storage would unfold
    members += "X" + raw(std::uint32_t{1}) + std::string(1, name) + (name == 'a' ? tensor + "q\x01" : "h\x01");
  }
  const Error shared = torch_zip_error(test::zip_of({{"x/data.pkl", members + "u."}, {"x/data/0", six_bytes}}));
  CHECK(shared.id() == "io.265");
  CHECK_THAT(shared.what(), contains("share their bytes"));
}
