// SPDX-License-Identifier: Apache-2.0
// Nfc: Unicode normalisation form C (UAX 15): decompose, order the marks by class, compose. Malformed bytes stay.
#pragma once

#include <algorithm>  // sort
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <tuple>  // tie
#include <unordered_map>
#include <utility>  // pair
#include <vector>

#include <graft/text/utf8.hpp>

namespace graft::text {

namespace detail {

inline constexpr std::string_view nfc_records =
#include <graft/text/unicode_nfc.inl>
    ;

}  // namespace detail

/// Normalises texts to form C; building one unpacks the tables (a millisecond).
class Nfc {
 public:
  Nfc() {
    std::size_t at = 0;
    for (char32_t code = 0; detail::nfc_records[at - (at > 0)] != '|';) {  // delta[!]:first[:second]
      code += number(at);
      const bool excluded = detail::nfc_records[at] == '!';
      at += excluded ? 2 : 1;
      const char32_t first = number(at);
      char32_t second = 0;
      if (detail::nfc_records[at] == ':') {
        second = number(++at);
        if (!excluded) {
          composed_.emplace(pair_key(first, second), code);
        }
      }
      decomposed_.emplace(code, std::pair(first, second));
      ++at;
    }
    for (char32_t code = 0; at < detail::nfc_records.size(); ++at) {  // delta:length:class
      code += number(at);
      const char32_t length = number(++at);
      const char32_t rank = number(++at);
      for (char32_t c = code; c < code + length; ++c) {
        class_.emplace(c, static_cast<std::uint8_t>(rank));
      }
    }
  }

  /// Malformed bytes come through as they are.
  [[nodiscard]] std::string operator()(std::string_view text) const {
    bool plain = true;
    for (const char c : text) {
      plain = plain && static_cast<unsigned char>(c) < 0xCC;  // nothing below U+0300 combines or changes
    }
    if (plain) {
      return std::string(text);
    }
    std::vector<Mark> marks;
    for (std::size_t at = 0; at < text.size();) {
      const CodePoint point = decode_utf8(text, at);
      if (point.valid) {
        decompose(point.value, marks);
      } else {
        for (std::size_t i = 0; i < point.size; ++i) {
          marks.push_back({raw_byte + static_cast<unsigned char>(text[at + i]), 0});
        }
      }
      at += point.size;
    }
    order(marks);
    compose(marks);
    std::string out;
    out.reserve(text.size());
    for (const Mark& mark : marks) {
      if (mark.code >= raw_byte) {
        out.push_back(static_cast<char>(mark.code - raw_byte));
      } else {
        append_utf8(out, mark.code);
      }
    }
    return out;
  }

 private:
  struct Mark {
    char32_t code;
    std::uint8_t rank;         // canonical combining class, 0 = starter
    std::ptrdiff_t place = 0;  // among the marks of one starter, which keep their order within a class
  };

  static constexpr char32_t raw_byte = 0x110000;  // a malformed byte travels as this plus its value
  static constexpr char32_t hangul = 0xAC00, hangul_l = 0x1100, hangul_v = 0x1161, hangul_t = 0x11A7;
  static constexpr char32_t hangul_vs = 21, hangul_ts = 28, hangul_count = 11172;

  static std::uint64_t pair_key(char32_t first, char32_t second) { return (std::uint64_t{first} << 32) | second; }

  static char32_t number(std::size_t& at) {
    char32_t value = 0;
    for (; at < detail::nfc_records.size(); ++at) {
      const char c = detail::nfc_records[at];
      if (c >= '0' && c <= '9') {
        value = value * 36 + static_cast<char32_t>(c - '0');
      } else if (c >= 'a' && c <= 'z') {
        value = value * 36 + static_cast<char32_t>(c - 'a' + 10);
      } else {
        break;
      }
    }
    return value;
  }

  void decompose(char32_t code, std::vector<Mark>& marks) const {
    if (code >= hangul && code < hangul + hangul_count) {
      const char32_t index = code - hangul;
      marks.push_back({hangul_l + index / (hangul_vs * hangul_ts), 0});
      marks.push_back({hangul_v + index % (hangul_vs * hangul_ts) / hangul_ts, 0});
      if (index % hangul_ts != 0) {
        marks.push_back({hangul_t + index % hangul_ts, 0});
      }
      return;
    }
    if (const auto found = decomposed_.find(code); found != decomposed_.end()) {
      decompose(found->second.first, marks);
      if (found->second.second != 0) {
        decompose(found->second.second, marks);
      }
      return;
    }
    const auto rank = class_.find(code);
    marks.push_back({code, rank == class_.end() ? std::uint8_t{0} : rank->second});
  }

  static void order(std::vector<Mark>& marks) {
    for (auto from = marks.begin(); from != marks.end();) {
      const auto starter = [](const Mark& mark) { return mark.rank == 0; };
      from = std::find_if_not(from, marks.end(), starter);
      const auto to = std::find_if(from, marks.end(), starter);
      for (auto mark = from; mark != to; ++mark) {
        mark->place = mark - from;
      }
      std::sort(from, to,
                [](const Mark& a, const Mark& b) { return std::tie(a.rank, a.place) < std::tie(b.rank, b.place); });
      from = to;
    }
  }

  [[nodiscard]] char32_t composite(char32_t first, char32_t second) const {  // 0 = none
    if (first >= hangul_l && first < hangul_l + 19 && second >= hangul_v && second < hangul_v + hangul_vs) {
      return hangul + ((first - hangul_l) * hangul_vs + (second - hangul_v)) * hangul_ts;
    }
    if (first >= hangul && first < hangul + hangul_count && (first - hangul) % hangul_ts == 0 && second > hangul_t &&
        second < hangul_t + hangul_ts) {
      return first + (second - hangul_t);
    }
    const auto found = composed_.find(pair_key(first, second));
    return found == composed_.end() ? 0 : found->second;
  }

  void compose(std::vector<Mark>& marks) const {
    constexpr std::size_t none = static_cast<std::size_t>(-1);
    std::size_t kept = 0, starter = none;
    for (const Mark mark : marks) {
      // A mark is blocked from its starter by a kept mark of the same or a higher class between them.
      const bool blocked = starter == none || (kept > starter + 1 && marks[kept - 1].rank >= mark.rank);
      const char32_t joined = blocked ? 0 : composite(marks[starter].code, mark.code);
      if (joined != 0) {
        marks[starter].code = joined;
        continue;
      }
      if (mark.rank == 0) {
        starter = kept;
      }
      marks[kept++] = mark;
    }
    marks.resize(kept);
  }

  std::unordered_map<char32_t, std::pair<char32_t, char32_t>> decomposed_;
  std::unordered_map<std::uint64_t, char32_t> composed_;
  std::unordered_map<char32_t, std::uint8_t> class_;
};

}  // namespace graft::text
