// SPDX-License-Identifier: Apache-2.0
// jsonl: the records of a data file, one by one: an object a line, or one JSON list of objects.
#pragma once

#include <algorithm>  // count
#include <string>
#include <string_view>
#include <utility>  // move

#include <graft/base/index.hpp>
#include <graft/base/require.hpp>
#include <graft/io/json.hpp>
#include <graft/io/mapped_file.hpp>

namespace graft::io {

namespace detail {

inline constexpr std::string_view json_blanks = " \t\r\n";

/// Takes the next element of a JSON list off `text`: up to the comma or bracket that stands outside strings and nesting.
[[nodiscard]] inline std::string_view take_element(std::string_view& text) {
  Index depth = 0;
  bool quoted = false;
  std::size_t i = 0;
  for (; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted) {
      i += c == '\\' ? 1 : 0;
      quoted = c != '"';
    } else if (c == '"') {
      quoted = true;
    } else if (c == '{' || c == '[') {
      ++depth;
    } else if (depth > 0 && (c == '}' || c == ']')) {
      --depth;
    } else if (depth == 0 && (c == ',' || c == ']')) {
      break;
    }
  }
  const std::string_view element = text.substr(0, i);
  text.remove_prefix(element.size());
  return element;
}

/// Parses one record and hands it on; `where` is file:line.
template <class Visit>
void visit_record(std::string_view text, const std::string& path, Index line, Visit& visit) {
  const std::string where = path + ":" + std::to_string(line);
  Json record = parse_json(text, where);
  if (!record.is_object()) {
    fail("io.241", "a record is a JSON object, found " + record.dump().substr(0, 60), where);
  }
  visit(std::move(record), line);
}

/// The list's elements, each parsed for itself, so that an error names its own line.
template <class Visit>
void visit_list(std::string_view text, const std::string& path, Visit& visit) {
  Index line = 1;
  const auto skip = [&](std::size_t count) {
    line += std::count(text.begin(), text.begin() + static_cast<Index>(count), '\n');
    text.remove_prefix(count);
  };
  const auto skip_blanks = [&] { skip(std::min(text.find_first_not_of(json_blanks), text.size())); };
  const auto refuse = [&](const char* expected) {
    fail("io.240", std::string("the JSON list is damaged or cut here, expected ") + expected,
         path + ":" + std::to_string(line));
  };
  skip_blanks();
  skip(1);  // the opening bracket
  skip_blanks();
  if (text.starts_with(']')) {
    skip(1);
  } else {
    for (bool more = true; more;) {
      skip_blanks();
      std::string_view rest = text;
      const std::string_view element = take_element(rest);
      if (rest.empty()) {
        refuse("a comma or the closing bracket");
      }
      visit_record(element, path, line, visit);
      more = rest.front() == ',';
      skip(element.size() + 1);
    }
  }
  skip_blanks();
  if (!text.empty()) {
    refuse("nothing after the closing bracket");
  }
}

}  // namespace detail

/// Calls visit(Json&& record, Index line) for every record of a JSONL file or a JSON list. A byte order mark and blank lines
/// are skipped; io.210 to io.212, io.240 and io.241 name file:line.
template <class Visit>
void for_each_record(const std::string& path, Visit visit) {
  const MappedFile file(path);
  std::string_view text = file.text();
  if (text.starts_with("\xEF\xBB\xBF")) {
    text.remove_prefix(3);
  }
  const std::size_t first = text.find_first_not_of(detail::json_blanks);
  if (first != std::string_view::npos && text[first] == '[') {
    return detail::visit_list(text, path, visit);
  }
  for (Index line = 1; !text.empty(); ++line) {
    const std::string_view row = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(row.size() + 1, text.size()));
    if (row.find_first_not_of(detail::json_blanks) != std::string_view::npos) {
      detail::visit_record(row, path, line, visit);
    }
  }
}

}  // namespace graft::io
