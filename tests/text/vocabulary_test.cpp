// SPDX-License-Identifier: Apache-2.0
#include <graft/text/vocabulary.hpp>

#include "support/catch.hpp"

using graft::test::contains;
using graft::text::Vocabulary;

TEST_CASE("spellings and ids are found both ways, and a hole by nothing", "[text]") {
  std::vector<std::pair<std::string, std::int32_t>> tokens;
  for (std::int32_t i = 0; i < 1000; ++i) {
    tokens.emplace_back("t" + std::to_string(i), 2 * i);
  }
  const Vocabulary vocabulary(tokens, "test");
  CHECK(vocabulary.size() == 1999);
  for (std::int32_t i = 0; i < 1000; ++i) {
    CHECK(vocabulary.find("t" + std::to_string(i)) == 2 * i);
    CHECK(vocabulary[2 * i] == "t" + std::to_string(i));
    CHECK_FALSE(vocabulary.contains(2 * i + 1));
  }
  CHECK(vocabulary.find("t1000") == -1);
  CHECK_FALSE(vocabulary.contains(-1));
  CHECK_FALSE(vocabulary.contains(1999));
  CHECK(Vocabulary().find("x") == -1);
}

TEST_CASE("two tokens of one id, two ids of one spelling and ids out of range are text.310", "[text]") {
  CHECK_THROWS_WITH(Vocabulary({{"a", 0}, {"b", 0}}, "f.json"),
                    contains("text.310") && contains("\"a\"") && contains("f.json"));
  CHECK_THROWS_WITH(Vocabulary({{"a", 0}, {"a", 1}}, "f.json"), contains("text.310") && contains("twice"));
  CHECK_THROWS_WITH(Vocabulary({{"a", -1}}, "f.json"), contains("text.310") && contains("-1"));
  CHECK_THROWS_WITH(Vocabulary({{"a", 2000000000}}, "f.json"), contains("text.310") && contains("2000000000"));
}
