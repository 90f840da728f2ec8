// SPDX-License-Identifier: Apache-2.0
// jsonl: the records of a data file, one by one: an object a line, or one JSON list of objects.
#pragma once

#include <string>
#include <string_view>
#include <utility>  // move

#include <graft/base/index.hpp>
#include <graft/base/require.hpp>
#include <graft/io/json.hpp>
#include <graft/io/mapped_file.hpp>
#include <graft/io/record_scanner.hpp>

namespace graft::io {

namespace detail {

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

}  // namespace detail

/// Calls visit(Json&& record, Index line) for every record of a JSONL file or a JSON list. A byte order mark and blank lines
/// are skipped; io.210 to io.212, io.240 and io.241 name file:line.
template <class Visit>
void for_each_record(const std::string& path, Visit visit) {
  const MappedFile file(path);
  RecordScanner scanner;
  const auto parse = [&](const RecordScanner::Found& found) {
    const auto begin = static_cast<std::size_t>(found.begin);
    detail::visit_record(file.text().substr(begin, static_cast<std::size_t>(found.end) - begin), path, found.line,
                         visit);
  };
  scanner.push(file.text(), path, parse);
  scanner.finish_file(path, parse);
}

}  // namespace graft::io
