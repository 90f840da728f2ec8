// SPDX-License-Identifier: Apache-2.0
#include <graft/core/view.hpp>

#include <array>
#include <numeric>
#include <type_traits>

#include "support/catch.hpp"

using namespace graft;

namespace {
std::array<int, 12> counted() {
  std::array<int, 12> numbers{};
  std::iota(numbers.begin(), numbers.end(), 0);
  return numbers;
}
}  // namespace

TEST_CASE("element (i, j) of a view stands at i * stride + j") {
  auto numbers = counted();
  const View<int> whole(numbers.data(), 3, 4);
  CHECK((whole.stride == 4 && whole.size() == 12 && whole(2, 1) == 9));
  const View<int> narrow(numbers.data(), 3, 2, 4);
  CHECK(narrow(2, 1) == 9);
  narrow(1, 0) = -1;
  CHECK(numbers[4] == -1);
  CHECK(narrow.row(2) == &numbers[8]);
}

TEST_CASE("slices of a view keep its stride and count from their own corner") {
  auto numbers = counted();
  const View<int> part = View<int>(numbers.data(), 3, 4).middle_rows(1, 2).middle_cols(2, 2);
  CHECK((part.rows == 2 && part.cols == 2 && part.stride == 4));
  CHECK((part(0, 0) == 6 && part(1, 1) == 11));
}

TEST_CASE("slices of a view without memory have shapes and no memory") {
  const View<float> planned(nullptr, 8, 6);
  const View<float> part = planned.middle_rows(2, 3).middle_cols(1, 4);
  CHECK((part.data == nullptr && part.rows == 3 && part.cols == 4));
}

TEST_CASE("a view is contiguous when its rows touch, or there is at most one") {
  auto numbers = counted();
  const View<int> whole(numbers.data(), 3, 4);
  CHECK(whole.contiguous());
  CHECK(whole.middle_rows(1, 2).contiguous());
  CHECK_FALSE(whole.middle_cols(0, 3).contiguous());
  CHECK(whole.middle_cols(0, 3).middle_rows(2, 1).contiguous());
  CHECK(View<int>().empty());
  CHECK(whole.middle_cols(1, 0).empty());
  CHECK_FALSE(whole.empty());
}

TEST_CASE("reshape keeps the numbers in order and refuses gaps and other sizes") {
  auto numbers = counted();
  const View<int> whole(numbers.data(), 3, 4);
  CHECK(whole.reshape(2, 6)(1, 2) == 8);
  CHECK(whole.middle_cols(1, 3).middle_rows(1, 1).reshape(3, 1)(2, 0) == 7);
  CHECK_THROWS_WITH(whole.reshape(2, 5), "shape.102: reshape: the view must be contiguous and keep its size");
  CHECK_THROWS_WITH(whole.middle_cols(0, 2).reshape(2, 3), test::contains("shape.102"));
}

TEST_CASE("a view converts to one that only reads, and never back") {
  STATIC_REQUIRE(std::is_convertible_v<View<float>, View<const float>>);
  STATIC_REQUIRE_FALSE(std::is_convertible_v<View<const float>, View<float>>);
  STATIC_REQUIRE_FALSE(std::is_convertible_v<View<float, Device>, View<float>>);
  STATIC_REQUIRE(std::is_trivially_copyable_v<View<float>>);  // device code takes it as an argument
  STATIC_REQUIRE(std::is_same_v<View<const float>::value_type, float>);
}
