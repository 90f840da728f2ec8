// SPDX-License-Identifier: Apache-2.0
#include <graft/interop/xtensor.hpp>

#include <cstdint>
#include <type_traits>
#include <vector>

#include <graft/core/tensor.hpp>

#include "support/catch.hpp"

using namespace graft;

namespace {

/// Same shape, same numbers. (Catch2 cannot take apart an xtensor comparison: xtensor's operators take Catch2's too.)
template <class A, class B>
bool same(const A& a, const B& b) {
  return a.shape(0) == b.shape(0) && a.shape(1) == b.shape(1) && xt::all(xt::equal(a, b));
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
