// SPDX-License-Identifier: Apache-2.0
// Catch2, major 2 or 3, behind one header: a test includes this and nothing of Catch2's own.
#pragma once

#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
using Catch::Approx;
#else
#include <catch2/catch.hpp>  // Approx is global here already
#endif

#include <string>

namespace graft::test {

/// The matcher "holds this text", which the two majors name differently: CHECK_THAT(text, contains("rank")).
inline auto contains(const std::string& text) {
#if __has_include(<catch2/catch_all.hpp>)
  return Catch::Matchers::ContainsSubstring(text);
#else
  return Catch::Matchers::Contains(text);
#endif
}

}  // namespace graft::test
