// SPDX-License-Identifier: Apache-2.0
// backtracking: the regular expressions of tokenizers (groups, classes, \p{...}, repeats, lookahead) without a library.
#pragma once

#include <algorithm>  // max, min
#include <cstddef>
#include <limits>
#include <memory>  // make_shared
#include <string>
#include <string_view>
#include <utility>  // move, pair
#include <vector>

#include <graft/base/require.hpp>
#include <graft/text/pattern.hpp>
#include <graft/text/pattern_program.hpp>
#include <graft/text/unicode_category.hpp>
#include <graft/text/utf8.hpp>

namespace graft::text {

namespace detail {

/// Recursive descent over one pattern; every construct it does not know is an error that names it.
class PatternParser {
 public:
  PatternParser(std::string_view pattern, const std::string& where) : pattern_(pattern), where_(where) {}

  Program parse() {
    if (pattern_.size() > 8192) {
      refuse("more than 8192 bytes");
    }
    Piece all = alternatives(false, 0);
    if (more()) {
      refuse("an unmatched )");
    }
    all.code.push_back({Op::done});
    program_.code = std::move(all.code);
    return std::move(program_);
  }

 private:
  struct Piece {
    std::vector<Instruction> code;
    std::size_t shortest = 0;  // the fewest code points it can match
  };

  static constexpr int unbounded = std::numeric_limits<int>::max();

  [[nodiscard]] bool more() const { return at_ < pattern_.size(); }
  [[nodiscard]] bool next_is(std::string_view text) const { return pattern_.substr(at_, text.size()) == text; }

  bool take(std::string_view text) {
    const bool found = next_is(text);
    at_ += found ? text.size() : 0;
    return found;
  }

  char32_t take_point() {
    if (!more()) {
      refuse("an unfinished construct");
    }
    const CodePoint point = decode_utf8(pattern_, at_);
    if (!point.valid) {
      refuse("malformed UTF-8");
    }
    at_ += point.size;
    return point.value;
  }

  [[noreturn]] void refuse(const std::string& what) const {
    fail("text.301",
         "the pattern " + std::string(pattern_) + " holds " + what + " at byte " + std::to_string(at_) +
             ", which the built-in engine does not read (PCRE2 may: compile with text::compile_pcre2)",
         where_);
  }

  static void append(std::vector<Instruction>& to, const std::vector<Instruction>& from) {
    to.insert(to.end(), from.begin(), from.end());
  }

  static int length(const Piece& piece) { return static_cast<int>(piece.code.size()); }

  Piece alternatives(bool any_case, int depth) {
    if (depth > 32) {
      refuse("groups nested deeper than 32");
    }
    Piece left = sequence(any_case, depth);
    if (!take("|")) {
      return left;
    }
    Piece right = alternatives(any_case, depth);
    Piece both;
    both.shortest = std::min(left.shortest, right.shortest);
    both.code.push_back({Op::split, 1, length(left) + 2});
    append(both.code, left.code);
    both.code.push_back({Op::jump, length(right) + 1});
    append(both.code, right.code);
    return both;
  }

  Piece sequence(bool any_case, int depth) {
    Piece all;
    while (more() && !next_is("|") && !next_is(")")) {
      const Piece part = repeated(atom(any_case, depth));
      append(all.code, part.code);
      all.shortest += part.shortest;
    }
    return all;
  }

  int count() {
    int value = -1;
    for (; more() && pattern_[at_] >= '0' && pattern_[at_] <= '9' && value < 1000; ++at_) {
      value = std::max(value, 0) * 10 + (pattern_[at_] - '0');
    }
    return value;
  }

  Piece repeated(Piece body) {
    int least = 1, most = 1;
    if (take("?")) {
      least = 0;
    } else if (take("*")) {
      least = 0, most = unbounded;
    } else if (take("+")) {
      most = unbounded;
    } else if (take("{")) {
      least = count();
      most = take(",") ? count() : least;
      most = most < 0 ? unbounded : most;
      if (least < 0 || least > 1000 || (most != unbounded && (most > 1000 || most < least)) || !take("}")) {
        refuse("a count that is not {m}, {m,} or {m,n} with m <= n <= 1000");
      }
    } else {
      return body;
    }
    const bool lazy = take("?");
    if (next_is("+") || next_is("*") || next_is("{")) {
      refuse("a possessive or doubled repeat");
    }
    if (most == unbounded && body.shortest == 0) {
      refuse("an endless repeat of what may be empty");
    }
    if (body.code.size() * static_cast<std::size_t>(most == unbounded ? least + 1 : most) > 100000) {
      refuse("too much to repeat");
    }
    return repeat(body, least, most, lazy);
  }

  static Piece repeat(const Piece& body, int least, int most, bool lazy) {
    Piece all;
    all.shortest = body.shortest * static_cast<std::size_t>(least);
    for (int i = 0; i < least; ++i) {
      append(all.code, body.code);
    }
    const int skip = length(body) + (most == unbounded ? 2 : 1);
    const Instruction choice{Op::split, lazy ? skip : 1, lazy ? 1 : skip};
    for (int i = least; i < (most == unbounded ? least + 1 : most); ++i) {
      all.code.push_back(choice);  // leaving one optional copy enters the next choice, which may leave too
      append(all.code, body.code);
    }
    if (most == unbounded) {
      all.code.push_back({Op::jump, -(length(body) + 1)});
    }
    return all;
  }

  Piece atom(bool any_case, int depth) {
    if (take("(")) {
      const bool ahead = take("?="), not_ahead = !ahead && take("?!");
      bool inside_any_case = any_case;
      if (!ahead && !not_ahead && take("?i:")) {
        inside_any_case = true;
      } else if (!ahead && !not_ahead && !take("?:") && next_is("?")) {
        refuse("a group of an unknown kind");
      }
      Piece inside = alternatives(inside_any_case, depth + 1);
      if (!take(")")) {
        refuse("an unclosed group");
      }
      if (!ahead && !not_ahead) {
        return inside;
      }
      Piece look;
      look.code.push_back({Op::look, not_ahead, length(inside) + 2});
      append(look.code, inside.code);
      look.code.push_back({Op::done});
      return look;
    }
    CharacterSet set;
    if (take("[")) {
      set.negated = take("^");
      do {
        if (!more() || next_is("[") || next_is("&&")) {
          refuse("an unclosed or nested class");
        }
        class_item(set, any_case);
      } while (!take("]"));
    } else if (take(".")) {
      set.ranges.emplace_back('\n', '\n');
      set.negated = true;
    } else if (next_is("^") || next_is("$") || next_is("*") || next_is("+") || next_is("?") || next_is("{")) {
      refuse("an anchor or a repeat of nothing");
    } else if (!take("\\")) {
      add_range(set, take_point(), any_case);
    } else if (const char32_t c = escape(set); c != 0) {
      add_range(set, c, any_case);
    }
    return one(std::move(set));
  }

  Piece one(CharacterSet set) {
    set.seal();
    program_.sets.push_back(std::move(set));
    return {{{Op::set, static_cast<int>(program_.sets.size()) - 1}}, 1};
  }

  void class_item(CharacterSet& set, bool any_case) {
    const char32_t first = take("\\") ? escape(set) : take_point();
    if (first == 0) {
      return;
    }
    char32_t last = first;
    if (next_is("-") && !next_is("-]")) {
      take("-");
      last = take("\\") ? escape(set) : take_point();
      if (last < first) {
        refuse("a range that runs backwards");
      }
    }
    if (first == last) {
      add_range(set, first, any_case);
    } else {
      if (any_case) {
        refuse("a range in any case");
      }
      set.ranges.emplace_back(first, last);
    }
  }

  void add_range(CharacterSet& set, char32_t c, bool any_case) {
    set.ranges.emplace_back(c, c);
    const bool letter = (c | 0x20) >= 'a' && (c | 0x20) <= 'z' && c < 128;
    if (any_case && letter) {
      set.ranges.emplace_back(c ^ 0x20, c ^ 0x20);
      if ((c | 0x20) == 's' || (c | 0x20) == 'k') {  // the long s and the Kelvin sign fold to ASCII
        const char32_t folded = (c | 0x20) == 's' ? 0x17F : 0x212A;
        set.ranges.emplace_back(folded, folded);
      }
    } else if (any_case && c >= 128) {
      refuse("a letter beyond ASCII in any case");
    }
  }

  /// Reads what follows a backslash: a class goes into the set and gives 0, anything else gives its code point.
  char32_t escape(CharacterSet& set) {
    const char32_t c = take_point();
    switch (c) {
      case 'n': return '\n';
      case 'r': return '\r';
      case 't': return '\t';
      case 'f': return '\f';
      case 'v': return '\v';
      case 's': set.white = true; return 0;
      case 'S': set.not_white = true; return 0;
      case 'd': set.categories |= *category_set("Nd"); return 0;
      case 'D': set.categories |= ~*category_set("Nd"); return 0;
      case 'p':
      case 'P': set.categories |= property(c == 'P'); return 0;
      default: break;
    }
    if (c < 128 && ((c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z'))) {
      refuse(std::string("\\") + static_cast<char>(c));
    }
    return c;
  }

  CategorySet property(bool negated) {
    if (!take("{")) {
      refuse("\\p without {");
    }
    negated = take("^") != negated;
    const std::size_t end = std::min(pattern_.find('}', at_), pattern_.size());
    const auto set = category_set(pattern_.substr(at_, end - at_));
    if (!set || end == pattern_.size()) {
      refuse("a property that is no general category");
    }
    at_ = end + 1;
    return negated ? ~*set : *set;
  }

  std::string_view pattern_;
  const std::string& where_;
  std::size_t at_ = 0;
  Program program_;
};

}  // namespace detail

/// The engine that needs no library.
[[nodiscard]] inline Pattern compile_builtin(std::string_view pattern, const std::string& where) {
  return {std::make_shared<const detail::Program>(detail::PatternParser(pattern, where).parse()),
          &detail::Program::find_all};
}

}  // namespace graft::text
