// SPDX-License-Identifier: Apache-2.0
// RecordScanner: where the records of a data file begin and end, found without parsing them: an object a line, or one JSON list.
#pragma once

#include <string_view>
#include <utility>  // exchange

#include <graft/base/index.hpp>
#include <graft/base/require.hpp>

namespace graft::io {

/// What stands between records, and around them.
inline constexpr std::string_view json_blanks = " \t\r\n";

/// Takes a file in pieces of any size and says of each record the bytes [begin, end) that hold it, and its line.
class RecordScanner {
 public:
  /// The bytes of one record.
  struct Found {
    Index begin = 0;  ///< its first byte, counted in the file
    Index end = 0;    ///< behind its last; blanks may stand before it
    Index line = 1;   ///< where it begins, from 1
  };

  /// Reads on; calls visit(Found) for every record that ends in this piece. Text outside a list's elements is io.240, named
  /// by `where` and the line.
  template <class Visit>
  void push(std::string_view piece, const std::string& where, Visit&& visit) {
    std::size_t i = 0;
    if (at_ == 0 && piece.starts_with("\xEF\xBB\xBF")) {  // a byte order mark
      i = 3;
    }
    for (; i < piece.size(); ++i) {
      const char c = piece[i];
      const Index at = at_ + static_cast<Index>(i);
      if (inside_ && !is_list_) {
        const std::size_t newline = piece.find('\n', i);
        i = newline == std::string_view::npos ? piece.size() : newline;
        if (i < piece.size()) {
          finish(at_ + static_cast<Index>(i), visit);
          ++line_;
        }
      } else if (inside_) {
        take(c, at, visit);
        line_ += c == '\n' ? 1 : 0;
      } else if (json_blanks.find(c) != std::string_view::npos) {
        line_ += c == '\n' ? 1 : 0;
      } else if (!is_list_ && !begun_ && c == '[') {
        is_list_ = begun_ = true;
      } else if (!is_list_) {
        begin(at);
        --i;  // its own line may end at once
      } else if (closed_) {
        refuse(where, "nothing after the closing bracket");
      } else if (c == ']' && !wants_element_) {
        closed_ = true;
      } else {
        begin(at);
        --i;
      }
    }
    at_ += static_cast<Index>(piece.size());
  }

  /// Ends the file: its last line may lack a newline, its list may not lack the bracket (io.240).
  template <class Visit>
  void finish_file(const std::string& where, Visit&& visit) {
    if (is_list_ && !closed_) {
      refuse(where, inside_ ? "a comma or the closing bracket" : "another element, or the closing bracket");
    }
    if (inside_) {
      finish(at_, visit);
    }
  }

  [[nodiscard]] bool is_list() const { return is_list_; }  ///< the file is one JSON list
  [[nodiscard]] Index line() const { return line_; }       ///< reached so far, from 1

 private:
  void begin(Index at) {
    found_ = {at, at, line_};
    inside_ = begun_ = true;
    depth_ = 0;
    quoted_ = escaped_ = false;
  }
  template <class Visit>
  void finish(Index end, Visit& visit) {
    inside_ = false;
    found_.end = end;
    visit(found_);
  }
  /// One character of a list's element: up to the comma or bracket that stands outside strings and nesting.
  template <class Visit>
  void take(char c, Index at, Visit& visit) {
    if (quoted_) {
      const bool was_escaped = std::exchange(escaped_, !escaped_ && c == '\\');
      quoted_ = was_escaped || c != '"';
    } else if (c == '"') {
      quoted_ = true;
    } else if (c == '{' || c == '[') {
      ++depth_;
    } else if (depth_ > 0 && (c == '}' || c == ']')) {
      --depth_;
    } else if (depth_ == 0 && (c == ',' || c == ']')) {
      wants_element_ = c == ',';
      closed_ = c == ']';
      finish(at, visit);
    }
  }
  [[noreturn]] void refuse(const std::string& where, const char* expected) const {
    fail("io.240", std::string("the JSON list is damaged or cut here, expected ") + expected,
         where + ":" + std::to_string(line_));
  }

  Found found_;
  Index at_ = 0;
  Index line_ = 1;
  Index depth_ = 0;
  bool begun_ = false;
  bool is_list_ = false;
  bool closed_ = false;
  bool inside_ = false;
  bool wants_element_ = false;  // a comma stands before
  bool quoted_ = false;
  bool escaped_ = false;
};

}  // namespace graft::io
