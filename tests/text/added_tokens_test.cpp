// SPDX-License-Identifier: Apache-2.0
#include <graft/text/added_tokens.hpp>

#include "support/catch.hpp"

using namespace graft::text;

namespace {

using Parts = std::vector<std::pair<std::string, std::int32_t>>;

Parts split(const AddedTokens& tokens, const std::string& text) {
  std::vector<Fragment> fragments;
  tokens.split(text, fragments);
  Parts parts;
  for (const Fragment& fragment : fragments) {
    parts.emplace_back(fragment.text, fragment.id);
  }
  return parts;
}

}  // namespace

TEST_CASE("the leftmost added token is found, and of those that begin there the longest", "[text]") {
  const AddedTokens tokens({{"<a>", 1}, {"<a><b>", 2}, {"b><", 3}});
  CHECK(split(tokens, "x<a><b>y<a>") == Parts{{"x", -1}, {"<a><b>", 2}, {"y", -1}, {"<a>", 1}});
  CHECK(split(tokens, "<a") == Parts{{"<a", -1}});
  CHECK(split(tokens, "") == Parts{});
  CHECK(split(AddedTokens(), "x") == Parts{{"x", -1}});
}

TEST_CASE("tokens that strip take the white space beside them along, but none of another token", "[text]") {
  AddedToken left{"<l>", 1}, right{"<r>", 2};
  left.strips_left = true;
  right.strips_right = true;
  const AddedTokens tokens({left, right});
  CHECK(split(tokens, "a \n<l> b") == Parts{{"a", -1}, {" \n<l>", 1}, {" b", -1}});
  CHECK(split(tokens, "a <r>\u3000b") == Parts{{"a ", -1}, {"<r>\u3000", 2}, {"b", -1}});
  CHECK(split(tokens, "<r>  <l>") == Parts{{"<r>  ", 2}, {"<l>", 1}});
}
