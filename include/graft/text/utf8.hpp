// SPDX-License-Identifier: Apache-2.0
// utf8: bytes to code points and back, never failing: a malformed sequence is reported, measured and kept.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace graft::text {

/// What stands at one place of a text: a code point, or a malformed sequence of `size` bytes (the longest begun one).
struct CodePoint {
  char32_t value = 0;    ///< U+FFFD where malformed
  std::size_t size = 1;  ///< in bytes
  bool valid = true;     ///< not malformed
  bool cut = false;      ///< malformed only because the text ends here
};

/// Decodes the code point at byte `at` (at < text.size()); no overlong forms, no surrogates, nothing above U+10FFFF.
[[nodiscard]] inline CodePoint decode_utf8(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned first = byte(at);
  if (first < 0x80) {
    return {first, 1};
  }
  const std::size_t length = first >= 0xC2 && first <= 0xDF   ? 2
                             : (first >> 4) == 0xE            ? 3
                             : first >= 0xF0 && first <= 0xF4 ? 4
                                                              : 0;
  if (length == 0) {
    return {0xFFFD, 1, false};
  }
  char32_t value = first & (0xFFU >> (length + 1));
  for (std::size_t i = 1; i < length; ++i) {
    if (at + i == text.size()) {
      return {0xFFFD, i, false, true};
    }
    const unsigned next = byte(at + i);
    const unsigned low = i > 1 ? 0x80 : first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80;
    const unsigned high = i > 1 ? 0xBF : first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;
    if (next < low || next > high) {
      return {0xFFFD, i, false};
    }
    value = (value << 6) | (next & 0x3F);
  }
  return {value, length};
}

/// Appends the UTF-8 form of one code point.
inline void append_utf8(std::string& text, char32_t value) {
  const auto put = [&](char32_t byte) { text.push_back(static_cast<char>(static_cast<unsigned char>(byte))); };
  if (value < 0x80) {
    put(value);
  } else if (value < 0x800) {
    put(0xC0 | (value >> 6));
    put(0x80 | (value & 0x3F));
  } else if (value < 0x10000) {
    put(0xE0 | (value >> 12));
    put(0x80 | ((value >> 6) & 0x3F));
    put(0x80 | (value & 0x3F));
  } else {
    put(0xF0 | (value >> 18));
    put(0x80 | ((value >> 12) & 0x3F));
    put(0x80 | ((value >> 6) & 0x3F));
    put(0x80 | (value & 0x3F));
  }
}

/// The end of the longest run from `at` that is valid UTF-8.
[[nodiscard]] inline std::size_t valid_until(std::string_view text, std::size_t at) {
  while (at < text.size()) {
    const CodePoint point = decode_utf8(text, at);
    if (!point.valid) {
      break;
    }
    at += point.size;
  }
  return at;
}

/// The text with every malformed sequence replaced by U+FFFD.
[[nodiscard]] inline std::string replace_malformed(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = valid_until(text, at);
    out.append(text, at, end - at);
    at = end;
    if (at < text.size()) {
      out += "\xEF\xBF\xBD";
      at += decode_utf8(text, at).size;
    }
  }
  return out;
}

/// Unicode's White_Space property.
[[nodiscard]] constexpr bool is_white_space(char32_t c) {
  return (c >= 9 && c <= 13) || c == 0x20 || c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) ||
         c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

/// The bytes of white space at the end of a text.
[[nodiscard]] inline std::size_t trailing_white_space(std::string_view text) {
  std::size_t end = text.size();
  while (end > 0) {
    std::size_t begin = end - 1;
    while (begin > 0 && end - begin < 4 && (static_cast<unsigned char>(text[begin]) & 0xC0) == 0x80) {
      --begin;
    }
    const CodePoint point = decode_utf8(text.substr(0, end), begin);
    if (!point.valid || begin + point.size != end || !is_white_space(point.value)) {
      break;
    }
    end = begin;
  }
  return text.size() - end;
}

/// The bytes of white space at the start of a text.
[[nodiscard]] inline std::size_t leading_white_space(std::string_view text) {
  std::size_t at = 0;
  while (at < text.size()) {
    const CodePoint point = decode_utf8(text, at);
    if (!point.valid || !is_white_space(point.value)) {
      break;
    }
    at += point.size;
  }
  return at;
}

}  // namespace graft::text
