// SPDX-License-Identifier: Apache-2.0
#include <graft/text/byte_level_bpe.hpp>

#include <set>

#include "support/catch.hpp"

using namespace graft::text;

TEST_CASE("each byte is spelled by a character of its own, as GPT-2 spells it", "[text]") {
  std::set<char32_t> spellings(byte_spellings().begin(), byte_spellings().end());
  CHECK(spellings.size() == 256);
  CHECK(spell_bytes(" a\n\xFF\xAD") == "\u0120a\u010A\u00FF\u0143");
  CHECK(unspell_bytes("\u0120a\u010A\u00FF\u0143") == " a\n\xFF\xAD");
  CHECK(unspell_bytes("<\uFF5Cend\uFF5C>") == "<\uFF5Cend\uFF5C>");
}

TEST_CASE("a whole word is looked up before it is merged only where the model asks for it", "[text]") {
  const Vocabulary vocabulary({{"a", 0}, {"b", 1}, {"ab", 2}, {"abb", 3}}, "test");
  std::vector<std::int32_t> merged, whole;
  ByteLevelBpe(vocabulary, {{"a", "b"}}, PreTokenizer(), false, "test").encode("abb", merged);
  ByteLevelBpe(vocabulary, {{"a", "b"}}, PreTokenizer(), true, "test").encode("abb", whole);
  CHECK(merged == std::vector<std::int32_t>{2, 1});
  CHECK(whole == std::vector<std::int32_t>{3});
}

TEST_CASE("a byte without a token is text.312 and named", "[text]") {
  const Vocabulary vocabulary({{"a", 0}}, "test");
  std::vector<std::int32_t> ids;
  CHECK_THROWS_WITH(ByteLevelBpe(vocabulary, {}, PreTokenizer(), false, "test").encode("ab", ids),
                    graft::test::contains("text.312") && graft::test::contains("98"));
}
