// SPDX-License-Identifier: Apache-2.0
#include <graft/text/pcre2.hpp>

#include <graft/text/backtracking.hpp>
#include <graft/text/pre_tokenizer.hpp>

#include <random>
#include <string>
#include <vector>

#include "support/catch.hpp"

using namespace graft::text;

namespace {

std::vector<std::pair<std::size_t, std::size_t>> spans(const Pattern& pattern, const std::string& text) {
  std::vector<Span> found;
  pattern.find_all(text, found);
  std::vector<std::pair<std::size_t, std::size_t>> pairs;
  for (const Span& span : found) {
    pairs.emplace_back(span.begin, span.end);
  }
  return pairs;
}

}  // namespace

TEST_CASE("PCRE2 and the built-in engine cut random Unicode text alike", "[text]") {
  std::mt19937 random(7);
  const std::u32string letters =
      U"aZs'tTdlve  \n\r\t.!-12345\u00E9\u0301\u00BD\u4E2D\u3000\u2003\u200B\u0085\u017F\u0663\u2167\U0001F44D_\u180E";
  for (const auto pattern : {gpt2_pattern, llama3_pattern, qwen2_pattern, std::string_view("\\p{N}"),
                             std::string_view("[\\S\\n]+?(?=\\s)|(?i:LL)")}) {
    const Pattern ours = compile_builtin(pattern, "test"), theirs = compile_pcre2(pattern, "test");
    for (int round = 0; round < 400; ++round) {
      std::string text;
      for (int i = 0; i < 60; ++i) {
        append_utf8(text, letters[random() % letters.size()]);
      }
      INFO(pattern << " on " << text);
      REQUIRE(spans(ours, text) == spans(theirs, text));
    }
  }
}

TEST_CASE("a pattern that PCRE2 cannot read is text.302 with its words", "[text]") {
  CHECK_THROWS_WITH(compile_pcre2("(a", "tokenizer.json"), graft::test::contains("text.302") &&
                                                               graft::test::contains("(a") &&
                                                               graft::test::contains("tokenizer.json"));
}

TEST_CASE("a search that would not end is text.303", "[text]") {
  const Pattern pattern = compile_pcre2("(?:(?:a+)+)+$", "test");
  std::vector<Span> found;
  std::string hard(5000, 'a');
  hard += 'b';
  CHECK_THROWS_WITH(pattern.find_all(hard, found), graft::test::contains("text.303"));
}

TEST_CASE("a moved pattern still matches", "[text]") {
  Pcre2 first("\\p{L}+", "test");
  Pcre2 second(std::move(first));
  first = Pcre2("x", "test");
  first = std::move(second);
  std::vector<Span> found;
  first.find_all("ab1", found);
  CHECK((found.size() == 1 && found[0].end == 2));
}
