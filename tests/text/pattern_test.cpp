// SPDX-License-Identifier: Apache-2.0
#include <graft/text/pattern.hpp>

#include "support/catch.hpp"

using namespace graft::text;

TEST_CASE("a copy of a pattern outlives the original and searches with the same code", "[text]") {
  const auto find = [](const void* code, std::string_view text, std::vector<Span>& matches) {
    const std::size_t at = text.find(*static_cast<const char*>(code));
    matches.push_back({at, at + 1});
  };
  auto original = std::make_unique<Pattern>(std::make_shared<const char>('b'), find);
  const Pattern copy = *original;
  original.reset();
  std::vector<Span> matches;
  copy.find_all("abc", matches);
  REQUIRE(matches.size() == 1);
  CHECK(matches[0].begin == 1);
}
