// SPDX-License-Identifier: Apache-2.0
#include <graft/text/utf8.hpp>

#include <string>

#include "support/catch.hpp"

using namespace graft::text;

TEST_CASE("every code point survives the way to bytes and back", "[text]") {
  for (char32_t c = 0; c <= 0x10FFFF; ++c) {
    if (c >= 0xD800 && c <= 0xDFFF) {
      continue;
    }
    std::string bytes;
    append_utf8(bytes, c);
    const CodePoint point = decode_utf8(bytes, 0);
    if (!point.valid || point.value != c || point.size != bytes.size()) {
      FAIL("code point " << static_cast<unsigned>(c));
    }
  }
}

TEST_CASE("overlong forms, surrogates and values above U+10FFFF are malformed", "[text]") {
  for (const char* bytes : {"\xC0\x80", "\xC1\xBF", "\xE0\x9F\xBF", "\xED\xA0\x80", "\xF0\x8F\xBF\xBF",
                            "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xFF", "\x80"}) {
    CHECK_FALSE(decode_utf8(bytes, 0).valid);
  }
}

TEST_CASE("a sequence that the text cuts short says so, one that another byte breaks does not", "[text]") {
  CHECK(decode_utf8("\xF0\x9F\x91", 0).cut);
  CHECK(decode_utf8("\xE6", 0).cut);
  CHECK_FALSE(decode_utf8("\xE6"
                          "a",
                          0)
                  .cut);
}

TEST_CASE("each longest malformed sequence becomes one replacement character", "[text]") {
  // The Unicode Standard 14, table 3-11: 61 F1 80 80 E1 80 C2 62 80 63 80 BF 64.
  CHECK(replace_malformed("a\xF1\x80\x80\xE1\x80\xC2"
                          "b\x80"
                          "c\x80\xBF"
                          "d") == "a\uFFFD\uFFFD\uFFFDb\uFFFDc\uFFFD\uFFFDd");
  CHECK(replace_malformed("caf\u00E9") == "caf\u00E9");
}

TEST_CASE("white space at the ends of a text is measured in bytes, over the whole of Unicode", "[text]") {
  CHECK(leading_white_space(" \u3000\nx ") == 5);
  CHECK(trailing_white_space(" x\u00A0\u2003 ") == 6);
  CHECK(trailing_white_space("\u3000\u3000") == 6);
  CHECK(trailing_white_space("x\u200B") == 0);
  CHECK(leading_white_space("\x80 ") == 0);
  CHECK(trailing_white_space("") == 0);
}
