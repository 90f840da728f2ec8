// SPDX-License-Identifier: Apache-2.0
#include <graft/text/nfc.hpp>

#include <string>
#include <utility>

#include "support/catch.hpp"

using graft::text::Nfc;

TEST_CASE("texts take the form C that Python's unicodedata gives them", "[text]") {
  const Nfc nfc;
  using Row = std::pair<const char*, const char*>;
  for (const auto& [text, form] :
       {Row{"e\u0301", "\u00E9"}, Row{"s\u0323\u0307", "\u1E69"}, Row{"s\u0307\u0323", "\u1E69"},
        Row{"\u212B", "\u00C5"}, Row{"\u1100\u1161\u11A8", "\uAC01"}, Row{"\uAC00\u11A8", "\uAC01"},
        Row{"\u0958", "\u0915\u093C"}, Row{"\u0344", "\u0308\u0301"}, Row{"\u0F73", "\u0F71\u0F72"},
        Row{"a\u0315\u0300\u05AE"
            "b",
            "\u00E0\u05AE\u0315"
            "b"},
        Row{"\u2126\u0301", "\u038F"}, Row{"\u1E9B\u0323", "\u1E9B\u0323"}, Row{"\U0001D15E", "\U0001D157\U0001D165"},
        Row{"\u0301e\u0301", "\u0301\u00E9"}, Row{"e\u0301\u0301", "\u00E9\u0301"},
        Row{"\u0B47\u0300\u0B3E", "\u0B47\u0300\u0B3E"}, Row{"plain", "plain"}, Row{"", ""}}) {
    INFO(text);
    CHECK(nfc(text) == form);
    CHECK(nfc(form) == form);
  }
}

TEST_CASE("malformed bytes stay where they are and join nothing", "[text]") {
  const Nfc nfc;
  CHECK(nfc("e\xFF\u0301\xE6") == "e\xFF\u0301\xE6");
}
