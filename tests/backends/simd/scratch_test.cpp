// SPDX-License-Identifier: Apache-2.0
#include <graft/backends/simd/scratch.hpp>

#include <cstdint>

#include "support/catch.hpp"

using namespace graft;
using backends::simd::Purpose;
using backends::simd::scratch;

TEST_CASE("scratch stays where it is until more is asked for, and purposes do not share") {
  float* const first = scratch<Purpose::rows, float>(1000);
  float* const other = scratch<Purpose::operand, float>(1000);
  CHECK(first != other);
  CHECK(scratch<Purpose::rows, float>(10) == first);
  CHECK(scratch<Purpose::rows, float>(1000) == first);
  CHECK(reinterpret_cast<std::uintptr_t>(scratch<Purpose::rows, float>(100000)) % 64 == 0);
}
