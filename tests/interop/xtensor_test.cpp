// SPDX-License-Identifier: Apache-2.0
#include <graft/interop/xtensor.hpp>

#include <unistd.h>  // getpid

#include <cstdint>
#include <filesystem>
#include <string>
#include <type_traits>
#include <vector>

#if __has_include(<xtensor/io/xnpy.hpp>)
#include <xtensor/io/xnpy.hpp>
#else
#include <xtensor/xnpy.hpp>
#endif

#include <graft/core/tensor.hpp>

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

}  // namespace

TEST_CASE("as_xtensor sees a strided View in place, and writes through it", "[interop]") {
  Tensor<float> storage(3, 5);
  for (Index i = 0; i < 15; ++i) {
    storage.data()[i] = static_cast<float>(i);
  }
  auto seen = interop::as_xtensor(storage.view().middle_cols(1, 3).middle_rows(1, 2));
  REQUIRE(seen.shape(0) == 2);
  REQUIRE(seen.shape(1) == 3);
  CHECK(seen(0, 0) == 6.0F);
  CHECK(seen(1, 2) == 13.0F);
  CHECK(&seen(1, 0) == &storage(2, 1));
  seen *= 2.0F;
  CHECK(storage(1, 1) == 12.0F);
  CHECK(storage(2, 3) == 26.0F);
  CHECK(storage(2, 4) == 14.0F);
  CHECK(storage(1, 0) == 5.0F);
  CHECK(storage(1, 4) == 9.0F);
}

TEST_CASE("as_xtensor of a const View takes part in expressions, for one row and one column too", "[interop]") {
  const std::vector<double> numbers = {1, 2, 3, 4, 5, 6};
  const xt::xtensor<double, 2> doubled = 2.0 * interop::as_xtensor(View<const double>(numbers.data(), 2, 3));
  CHECK(same(doubled, xt::xtensor<double, 2>{{2, 4, 6}, {8, 10, 12}}));
  const xt::xtensor<double, 2> row = interop::as_xtensor(View<const double>(numbers.data(), 1, 6, 100));
  CHECK(same(row, xt::xtensor<double, 2>{{1, 2, 3, 4, 5, 6}}));
  const xt::xtensor<double, 2> column = interop::as_xtensor(View<const double>(numbers.data(), 3, 1, 2));
  CHECK(same(column, xt::xtensor<double, 2>{{1}, {3}, {5}}));
  CHECK(interop::as_xtensor(View<const double>()).size() == 0);
}

TEST_CASE("view_of is the xtensor's own memory", "[interop]") {
  xt::xtensor<float, 2> array = {{1, 2, 3}, {4, 5, 6}};
  const View<float> view = interop::view_of(array);
  CHECK(view.rows == 2);
  CHECK(view.cols == 3);
  CHECK(view.data == array.data());
  view(1, 0) = 9;
  CHECK(array(1, 0) == 9.0F);
  const xt::xtensor<float, 2>& frozen = array;
  STATIC_REQUIRE(std::is_same_v<decltype(interop::view_of(frozen)), View<const float>>);
  CHECK(interop::view_of(frozen)(0, 2) == 3.0F);
  CHECK(interop::view_of(frozen).data == array.data());
}

TEST_CASE("load_npy reads what xtensor dumps, for every type and for a vector", "[interop]") {
  const std::string path = scratch("dump.npy");
  const xt::xtensor<float, 2> single = {{1.5F, -2.0F, 3.0F}, {4.0F, 5.0F, 6.25F}};
  xt::dump_npy(path, single);
  CHECK(same(interop::load_npy<float>(path), single));
  const xt::xtensor<double, 2> many = xt::ones<double>({7, 130}) * 0.1;
  xt::dump_npy(path, many);
  CHECK(same(interop::load_npy<double>(path), many));
  const xt::xtensor<std::int64_t, 1> ids = {3, -1, 1LL << 40};
  xt::dump_npy(path, ids);
  CHECK(same(interop::load_npy<std::int64_t>(path), xt::xtensor<std::int64_t, 2>{{3, -1, 1LL << 40}}));
  std::filesystem::remove(path);
}

TEST_CASE("load_npy refuses another type or rank and names both", "[interop]") {
  const std::string path = scratch("wrong.npy");
  xt::dump_npy(path, xt::xtensor<double, 2>{{1, 2}});
  CHECK_THROWS_WITH(
      interop::load_npy<float>(path),
      test::contains("io.283: load_npy: expected a matrix of F32, found F64 [1, 2]") && test::contains(path));
  xt::dump_npy(path, xt::xtensor<float, 3>{{{1, 2}}});
  CHECK_THROWS_WITH(interop::load_npy<float>(path), test::contains("io.283") && test::contains("[1, 1, 2]"));
  std::filesystem::remove(path);
  CHECK_THROWS_WITH(interop::load_npy<float>(path), test::contains("io.201") && test::contains(path));
}
