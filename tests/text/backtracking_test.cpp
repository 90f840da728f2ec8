// SPDX-License-Identifier: Apache-2.0
#include <graft/text/backtracking.hpp>

#include <string>
#include <vector>

#include "support/catch.hpp"

using namespace graft::text;

namespace {

std::vector<std::string> matches(const std::string& pattern, const std::string& text) {
  std::vector<Span> spans;
  compile_builtin(pattern, "test").find_all(text, spans);
  std::vector<std::string> found;
  for (const Span& span : spans) {
    found.push_back(text.substr(span.begin, span.end - span.begin));
  }
  return found;
}

using Found = std::vector<std::string>;

}  // namespace

TEST_CASE("an alternation takes its first branch that matches, not its longest", "[text]") {
  CHECK(matches("a|ab", "ab") == Found{"a"});
  CHECK(matches("(?:a|ab)c", "abc ac") == Found{"abc", "ac"});
}

TEST_CASE("repeats are greedy, give back what the rest needs, and are lazy on request", "[text]") {
  CHECK(matches("a*ab", "aaab") == Found{"aaab"});
  CHECK(matches("x{2,3}", "xxxxxxx") == Found{"xxx", "xxx"});
  CHECK(matches("x{2}", "xxxxx") == Found{"xx", "xx"});
  CHECK(matches("x{2,}y?", "xxxxyx") == Found{"xxxxy"});
  CHECK(matches("a+?", "aaa") == Found{"a", "a", "a"});
  CHECK(matches("(?:ab){1,2}?c", "ababc") == Found{"ababc"});
}

TEST_CASE("lookahead sees what follows and takes none of it", "[text]") {
  CHECK(matches("\\s+(?!\\S)", "a   b  ") == Found{"  ", "  "});
  CHECK(matches("a(?=b)", "ab ac") == Found{"a"});
  CHECK(matches("(?!b)[a-c]", "abc") == Found{"a", "c"});
}

TEST_CASE("classes hold ranges, escapes, categories and their complements", "[text]") {
  CHECK(matches("[a-cx\\-]+", "ab-xyc") == Found{"ab-x", "c"});
  CHECK(matches("[^\\s\\p{L}\\p{N}]+", "a1 !?\u00E9 \u2026") == Found{"!?", "\u2026"});
  CHECK(matches("\\p{Lu}\\P{Lu}+", "aBcdE\u00E9") == Found{"Bcd", "E\u00E9"});
  CHECK(matches("\\p{^L}+", "ab12cd") == Found{"12"});
  CHECK(matches("[\\S]+", "ab \u3000cd") == Found{"ab", "cd"});
  CHECK(matches("\\d\\D", "1a\u0663b") == Found{"1a", "\u0663b"});
  CHECK(matches("[\u4E00-\u9FA5]+", "x\u4E2D\u6587y") == Found{"\u4E2D\u6587"});
  CHECK(matches("[]]", "a") == Found{});
  CHECK(matches(".", "a\nb") == Found{"a", "b"});
}

TEST_CASE("any case folds ASCII letters, the long s and the Kelvin sign", "[text]") {
  CHECK(matches("(?i:'s|'k)", "'s 'S '\u017F '\u212A 't") == Found{"'s", "'S", "'\u017F", "'\u212A"});
  CHECK(matches("(?i:a)b", "Ab aB") == Found{"Ab"});
}

TEST_CASE("a construct that the engine does not read is text.301 and named", "[text]") {
  for (const char* pattern : {"a++",
                              "(?<=a)b",
                              "(a",
                              "a)",
                              "[a",
                              "\\bx",
                              "^a",
                              "a$",
                              "\\p{Greek}",
                              "\\pL",
                              "*a",
                              "a{3,2}",
                              "a{9999}",
                              "(?:a?)*",
                              "[b-a]",
                              "[a&&b]",
                              "[[:alpha:]]",
                              "(?i:\u00E9)",
                              "(?i:[a-z])",
                              "\\w",
                              "a{2",
                              "\\",
                              "(?:(?:(?:a{1000}){1000}){1000}){1000}"}) {
    INFO(pattern);
    try {
      static_cast<void>(compile_builtin(pattern, "tokenizer.json"));
      FAIL("it was accepted");
    } catch (const graft::Error& error) {
      CHECK(error.id() == "text.301");
      CHECK(error.where() == "tokenizer.json");
      CHECK_THAT(error.what(), graft::test::contains(pattern));
    }
  }
  CHECK_THROWS_AS(compile_builtin(std::string(9000, '|'), "x"), graft::Error);
  CHECK_THROWS_AS(compile_builtin(std::string(8000, '('), "x"), graft::Error);
}

TEST_CASE("a long text costs no recursion", "[text]") {
  const std::string text(1 << 20, ' ');
  CHECK(matches("\\s+(?!\\S)|\\s+", text + "x") == Found{text.substr(1), " "});
}
