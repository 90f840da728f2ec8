// SPDX-License-Identifier: Apache-2.0
// pattern_program: a regular expression as a program of five instructions, searched depth first with an explicit stack
// (Thompson's code in Perl's order of preference).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <tuple>    // tie
#include <utility>  // pair
#include <vector>

#include <graft/text/pattern.hpp>
#include <graft/text/unicode_category.hpp>
#include <graft/text/utf8.hpp>

namespace graft::text::detail {

/// A set of code points: ranges, categories, white space or its complement; all of it negated or not.
struct CharacterSet {
  std::vector<std::pair<char32_t, char32_t>> ranges;
  CategorySet categories = 0;
  bool white = false;
  bool not_white = false;
  bool negated = false;
  std::uint64_t ascii[2] = {0, 0};  // the answers below 128, filled by seal()

  [[nodiscard]] bool search(char32_t c) const {
    bool inside = (categories != 0 && (categories & category(c)) != 0) || (white && is_white_space(c)) ||
                  (not_white && !is_white_space(c));
    for (const auto& [first, last] : ranges) {
      inside = inside || (c >= first && c <= last);
    }
    return inside != negated;
  }

  void seal() {
    for (char32_t c = 0; c < 128; ++c) {
      ascii[c >> 6] |= std::uint64_t{search(c)} << (c & 63);
    }
  }

  [[nodiscard]] bool contains(char32_t c) const { return c < 128 ? ((ascii[c >> 6] >> (c & 63)) & 1) != 0 : search(c); }
};

enum class Op : std::uint8_t { set, split, jump, look, done };

/// set: one of set x. split: go to x, or else to y. jump: to x. look: the code up to y must (x: must not) match.
struct Instruction {
  Op op;
  int x = 0;
  int y = 0;
};

/// A program and its sets; jumps are relative, so that pieces of a program can be joined and repeated.
struct Program {
  std::vector<Instruction> code;
  std::vector<CharacterSet> sets;

  using Stack = std::vector<std::pair<std::size_t, std::size_t>>;

  /// The end of the match that starts at `at`, if there is one.
  [[nodiscard]] std::optional<std::size_t> match(std::string_view text, std::size_t pc, std::size_t at,
                                                 Stack& stack) const {
    const std::size_t base = stack.size();
    for (;;) {
      const Instruction& step = code[pc];
      bool alive = true;
      switch (step.op) {
        case Op::set: {
          alive = at < text.size();
          if (alive) {
            const CodePoint point = decode_utf8(text, at);
            alive = sets[static_cast<std::size_t>(step.x)].contains(point.value);
            at += point.size;
            ++pc;
          }
          break;
        }
        case Op::split:
          stack.emplace_back(target(pc, step.y), at);
          pc = target(pc, step.x);
          break;
        case Op::jump: pc = target(pc, step.x); break;
        case Op::look:
          alive = match(text, pc + 1, at, stack).has_value() != (step.x != 0);
          pc = target(pc, step.y);
          break;
        case Op::done: stack.resize(base); return at;
      }
      if (!alive) {
        if (stack.size() == base) {
          return std::nullopt;
        }
        std::tie(pc, at) = stack.back();
        stack.pop_back();
      }
    }
  }

  static void find_all(const void* self, std::string_view text, std::vector<Span>& matches) {
    const auto& program = *static_cast<const Program*>(self);
    Stack stack;
    for (std::size_t at = 0; at < text.size();) {
      const auto end = program.match(text, 0, at, stack);
      if (end && *end > at) {
        matches.push_back({at, *end});
        at = *end;
      } else {
        at += decode_utf8(text, at).size;
      }
    }
  }

 private:
  static std::size_t target(std::size_t pc, int by) {
    return static_cast<std::size_t>(static_cast<std::ptrdiff_t>(pc) + by);
  }
};

}  // namespace graft::text::detail
