// SPDX-License-Identifier: Apache-2.0
#include <graft/io/npy.hpp>

#include <unistd.h>  // getpid

#include <filesystem>
#include <string>
#include <vector>

#include <graft/core/tensor.hpp>
#include <graft/interop/xtensor.hpp>
#include <graft/io/atomic_file.hpp>

#if __has_include(<xtensor/io/xnpy.hpp>)
#include <xtensor/io/xnpy.hpp>
#else
#include <xtensor/xnpy.hpp>
#endif

#include "support/catch.hpp"

using namespace graft;

namespace {

/// Same shape, same numbers. (Catch2 cannot take apart an xtensor comparison: xtensor's operators take Catch2's too.)
template <class A, class B>
bool same(const A& a, const B& b) {
  return a.shape(0) == b.shape(0) && a.shape(1) == b.shape(1) && xt::all(xt::equal(a, b));
}

std::string scratch(const std::string& name) {
  return (std::filesystem::temp_directory_path() / ("graft_" + std::to_string(::getpid()) + "_" + name)).string();
}

Tensor<float> numbered(Index rows, Index cols) {
  Tensor<float> result(rows, cols);
  for (Index i = 0; i < result.size(); ++i) {
    result.data()[i] = static_cast<float>(i) - 2.5F;
  }
  return result;
}

/// A file with this dictionary and `bytes` bytes of numbers.
std::string npy_file(const std::string& name, const std::string& dictionary, std::size_t bytes) {
  const std::string path = scratch(name);
  std::string text("\x93NUMPY\x01\x00", 8);
  text += static_cast<char>(dictionary.size());
  text += '\0';
  io::write_text(path, text + dictionary + std::string(bytes, '\0'));
  return path;
}

void parse(const std::string& path) {
  const io::MappedFile file(path);
  static_cast<void>(io::parse_npy(file));
}

}  // namespace

TEST_CASE("what NpyWriter appends block by block, xtensor's own reader and ours read back whole", "[io]") {
  const std::string path = scratch("blocks.npy");
  const Tensor<float> wide = numbered(5, 11);
  const View<const float> part = wide.view().middle_cols(2, 7);  // rows are not contiguous
  io::NpyWriter writer(path, 5, 7);
  writer.append(part.middle_rows(0, 2));
  writer.append(part.middle_rows(2, 0));
  writer.append(part.middle_rows(2, 3));
  CHECK_FALSE(std::filesystem::exists(path));
  writer.commit();
  const xt::xtensor<float, 2> theirs = xt::load_npy<float>(path);
  CHECK(same(theirs, interop::as_xtensor(part)));
  CHECK(same(interop::as_xtensor(io::load_npy<float>(path).view()), interop::as_xtensor(part)));
  std::filesystem::remove(path);
}

TEST_CASE("the numbers of a written .npy file start at a multiple of 64 bytes, however long the shape", "[io]") {
  const std::string path = scratch("aligned.npy");
  for (const Index cols : {1, 10, 100, 1000, 10000, 100000, 1000000}) {
    io::NpyWriter writer(path, 1, cols);
    const Tensor<float> row = numbered(1, cols);
    writer.append(row.view());
    writer.commit();
    const auto bytes = std::filesystem::file_size(path);
    CHECK((bytes - static_cast<std::size_t>(cols) * sizeof(float)) % 64 == 0);
    CHECK(same(interop::as_xtensor(io::load_npy<float>(path).view()), interop::as_xtensor(row.view())));
  }
  std::filesystem::remove(path);
}

TEST_CASE("too few rows, too many rows and other columns are refused, and leave no file", "[io]") {
  const std::string path = scratch("short.npy");
  const Tensor<float> block = numbered(2, 3);
  {
    io::NpyWriter writer(path, 3, 3);
    writer.append(block.view());
    CHECK_THROWS_WITH(writer.commit(), test::contains("shape.172") && test::contains("expected 3 rows, found 2") &&
                                           test::contains(path));
    CHECK_THROWS_WITH(writer.append(block.view()), test::contains("shape.172"));
    CHECK_THROWS_WITH(writer.append(block.view().middle_cols(0, 2)), test::contains("shape.171"));
  }
  CHECK_FALSE(std::filesystem::exists(path));
  CHECK_THROWS_WITH(io::NpyWriter(path, -1, 3), test::contains("shape.170"));
  CHECK_THROWS_WITH(io::NpyWriter("/no/such/folder/x.npy", 1, 3), test::contains("io.202"));
}

TEST_CASE("parse_npy takes the keys in any order and a header of version 2", "[io]") {
  const std::string path = scratch("version2.npy");
  const std::string dictionary = "{'shape': (2,), 'fortran_order': False, 'descr': '<i4'}\n";
  std::string text("\x93NUMPY\x02\x00", 8);
  text += static_cast<char>(dictionary.size());
  text += std::string(3, '\0') + dictionary + std::string("\x07\0\0\0\xff\xff\xff\xff", 8);
  io::write_text(path, text);
  const io::MappedFile file(path);
  CHECK(io::read_integers(io::parse_npy(file)) == std::vector<Index>{7, -1});
  std::filesystem::remove(path);
}

TEST_CASE("a bad .npy file is refused with one error that names file, key, expected and found", "[io]") {
  struct Case {
    std::string dictionary;
    std::size_t bytes;
    std::string message;
  };
  const auto bad = GENERATE(values<Case>({
      {"{'descr': '<f4', 'fortran_order': False, }", 8, "io.280: the .npy header lacks the key 'shape'"},
      {"{'descr': '<f4', 'shape': (2,), }", 8, "io.280: the .npy header lacks the key 'fortran_order'"},
      {"{'descr': '<f4', 'fortran_order': True, 'shape': (1, 2), }", 8, "io.281: .npy key 'fortran_order'"},
      {"{'descr': '>f4', 'fortran_order': False, 'shape': (1, 2), }", 8, "'<i8', found '>f4'"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (1, 3), }", 8, "io.282"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (-1, -2), }", 8, "io.282"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904, 4611686018427387904), }", 0, "io.282"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999999,), }", 8, "found \"(999"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (1 2), }", 8, "io.280: .npy key 'shape': expected integers"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': 2", 8, "io.280: .npy key 'shape': expected a tuple"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape':", 0, "io.280: .npy key 'shape': expected a tuple"},
  }));
  const std::string path = npy_file("bad.npy", bad.dictionary, bad.bytes);
  INFO(bad.dictionary);
  CHECK_THROWS_WITH(parse(path), test::contains(bad.message) && test::contains(path));
  std::filesystem::remove(path);
}

TEST_CASE("a .npy file that is cut off or is something else is refused at every length", "[io]") {
  const std::string whole_path =
      npy_file("whole.npy", "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2), }", 8);
  const std::string whole = io::read_text(whole_path);
  CHECK_NOTHROW(parse(whole_path));
  for (std::size_t length = 0; length < whole.size(); ++length) {
    io::write_text(whole_path, whole.substr(0, length));
    CHECK_THROWS_WITH(parse(whole_path), test::contains("io.28"));
  }
  io::write_text(whole_path, "GGUF" + whole);
  CHECK_THROWS_WITH(parse(whole_path), test::contains("found no magic number"));
  std::filesystem::remove(whole_path);
}

TEST_CASE("load_npy reads what xtensor dumps, for every type and for a vector", "[io]") {
  const std::string path = scratch("dump.npy");
  const xt::xtensor<float, 2> single = {{1.5F, -2.0F, 3.0F}, {4.0F, 5.0F, 6.25F}};
  xt::dump_npy(path, single);
  CHECK(same(interop::as_xtensor(io::load_npy<float>(path).view()), single));
  const xt::xtensor<double, 2> many = xt::ones<double>({7, 130}) * 0.1;
  xt::dump_npy(path, many);
  CHECK(same(interop::as_xtensor(io::load_npy<double>(path).view()), many));
  const xt::xtensor<std::int64_t, 1> ids = {3, -1, 1LL << 40};
  xt::dump_npy(path, ids);
  CHECK(same(interop::as_xtensor(io::load_npy<std::int64_t>(path).view()),
             xt::xtensor<std::int64_t, 2>{{3, -1, 1LL << 40}}));
  std::filesystem::remove(path);
}

TEST_CASE("load_npy refuses another type or rank and names both", "[io]") {
  const std::string path = scratch("wrong.npy");
  xt::dump_npy(path, xt::xtensor<double, 2>{{1, 2}});
  CHECK_THROWS_WITH(
      io::load_npy<float>(path),
      test::contains("io.283: load_npy: expected a matrix of F32, found F64 [1, 2]") && test::contains(path));
  xt::dump_npy(path, xt::xtensor<float, 3>{{{1, 2}}});
  CHECK_THROWS_WITH(io::load_npy<float>(path), test::contains("io.283") && test::contains("[1, 1, 2]"));
  std::filesystem::remove(path);
  CHECK_THROWS_WITH(io::load_npy<float>(path), test::contains("io.201") && test::contains(path));
}
