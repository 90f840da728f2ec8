// SPDX-License-Identifier: Apache-2.0
#include <graft/text/pattern_program.hpp>

#include "support/catch.hpp"

using namespace graft::text::detail;
using graft::text::Span;

TEST_CASE("a program of split, jump and set prefers its first way and falls back to its second", "[text]") {
  Program program;  // (?:ab|a)
  for (const char32_t c : {U'a', U'b'}) {
    CharacterSet set;
    set.ranges.emplace_back(c, c);
    set.seal();
    program.sets.push_back(set);
  }
  program.code = {{Op::split, 1, 4}, {Op::set, 0}, {Op::set, 1}, {Op::jump, 2}, {Op::set, 0}, {Op::done}};
  Program::Stack stack;
  CHECK(program.match("abc", 0, 0, stack) == 2);
  CHECK(program.match("acb", 0, 0, stack) == 1);
  CHECK_FALSE(program.match("acb", 0, 1, stack));
  CHECK(stack.empty());
  std::vector<graft::text::Span> found;
  Program::find_all(&program, "xaba", found);
  REQUIRE(found.size() == 2);
  CHECK((found[0].begin == 1 && found[0].end == 3 && found[1].begin == 3 && found[1].end == 4));
}

TEST_CASE("a sealed set answers below 128 as its search does", "[text]") {
  CharacterSet set;
  set.ranges.emplace_back('a', 'f');
  set.white = true;
  set.negated = true;
  set.seal();
  for (char32_t c = 0; c < 128; ++c) {
    CHECK(set.contains(c) == !((c >= 'a' && c <= 'f') || c == ' ' || (c >= 9 && c <= 13)));
  }
}
