// SPDX-License-Identifier: Apache-2.0
#include <graft/core/precision.hpp>

#include "support/catch.hpp"

using namespace graft;

namespace {
struct StoresIntegers {
  using Stored = int;
  using Computed = float;
};
struct ComputesInBf16 {
  using Stored = bf16;
  using Computed = bf16;
};
}  // namespace

TEST_CASE("a precision stores something storable and computes in a scalar") {
  STATIC_REQUIRE(
      (precision<Uniform<float>> && precision<Uniform<std::complex<double>>> && precision<Mixed<bf16, float>>));
  STATIC_REQUIRE_FALSE((precision<StoresIntegers> || precision<ComputesInBf16> || precision<float>));
}

TEST_CASE("a uniform precision computes in what it stores, a mixed one need not") {
  STATIC_REQUIRE(std::same_as<Uniform<double>::Stored, Uniform<double>::Computed>);
  STATIC_REQUIRE(std::same_as<Mixed<bf16, float>::Stored, bf16>);
  STATIC_REQUIRE(std::same_as<Mixed<bf16, float>::Computed, float>);
}
