// SPDX-License-Identifier: Apache-2.0
#include <graft/core/bf16.hpp>
#include <graft/core/matrix.hpp>

#include "support/catch.hpp"

using namespace graft;

namespace {
/// A matrix of somebody else: an outer product that stores no elements.
struct Outer {
  Index rows;
  Index cols;
  Index operator()(Index i, Index j) const { return i * j; }
};
struct NoColumns {
  Index rows;
};
}  // namespace

TEST_CASE("a matrix is whatever has rows, columns and readable elements") {
  STATIC_REQUIRE((shaped<Outer> && matrix<Outer>));
  STATIC_REQUIRE((matrix<View<float>> && matrix<View<const bf16>>));
  STATIC_REQUIRE_FALSE(shaped<NoColumns>);
  STATIC_REQUIRE_FALSE(matrix<int>);
}

TEST_CASE("a matrix is writable when its elements can be assigned") {
  STATIC_REQUIRE(writable_matrix<View<float>>);
  STATIC_REQUIRE_FALSE(writable_matrix<View<const float>>);
  STATIC_REQUIRE_FALSE(writable_matrix<Outer>);
}

TEST_CASE("a view of a device has a shape and no elements here") {
  STATIC_REQUIRE(shaped<View<float, Device>>);
  STATIC_REQUIRE_FALSE(matrix<View<float, Device>>);
}
