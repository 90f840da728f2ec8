// SPDX-License-Identifier: Apache-2.0
#include <graft/text/pre_tokenizer.hpp>

#include <graft/text/backtracking.hpp>

#include "support/catch.hpp"

using namespace graft::text;

namespace {

std::vector<std::string> words(std::vector<SplitStep> steps, const std::string& text) {
  PreTokenizer::Pieces pieces;
  PreTokenizer(std::move(steps)).split(text, pieces);
  return {pieces.words.begin(), pieces.words.end()};
}

SplitStep step(const char* pattern, SplitBehavior behavior, bool inverted = false) {
  return {false, compile_builtin(pattern, "test"), behavior, inverted};
}

using Words = std::vector<std::string>;

}  // namespace

TEST_CASE("a match is isolated, removed or joined to a neighbour as its behaviour says", "[text]") {
  const std::string text = "a-b--c";
  CHECK(words({step("-", SplitBehavior::isolated)}, text) == Words{"a", "-", "b", "-", "-", "c"});
  CHECK(words({step("-", SplitBehavior::removed)}, text) == Words{"a", "b", "c"});
  CHECK(words({step("-", SplitBehavior::merged_with_previous)}, text) == Words{"a-", "b-", "-", "c"});
  CHECK(words({step("-", SplitBehavior::merged_with_next)}, text) == Words{"a", "-b", "-", "-c"});
  CHECK(words({step("\\p{L}", SplitBehavior::removed, true)}, text) == Words{"a", "b", "c"});
}

TEST_CASE("steps cut the pieces of the step before, and a prefix space is put before each that has none", "[text]") {
  SplitStep prefix;
  prefix.prefix_space = true;
  CHECK(words({step("\\p{N}", SplitBehavior::isolated), prefix}, "a1 b") == Words{" a", " 1", " b"});
}

TEST_CASE("malformed bytes are pieces of their own", "[text]") {
  CHECK(words({step("\\p{L}+", SplitBehavior::isolated)},
              "ab\xFF\xFE"
              "cd\xE6") == Words{"ab", "\xFF\xFE", "cd", "\xE6"});
}
