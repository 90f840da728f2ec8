// SPDX-License-Identifier: Apache-2.0
#include <graft/io/record_scanner.hpp>

#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/files.hpp"

using namespace graft;

namespace {

/// "line:text" of every record, the file given in pieces of `size` bytes.
std::vector<std::string> scanned(const std::string& text, std::size_t size) {
  io::RecordScanner scanner;
  std::vector<std::string> found;
  const auto visit = [&](const io::RecordScanner::Found& record) {
    found.push_back(
        std::to_string(record.line) + ":" +
        text.substr(static_cast<std::size_t>(record.begin), static_cast<std::size_t>(record.end - record.begin)));
  };
  for (std::size_t at = 0; at < text.size(); at += size) {
    scanner.push(std::string_view(text).substr(at, size), "f", visit);
  }
  scanner.finish_file("f", visit);
  return found;
}

}  // namespace

TEST_CASE("records are found wherever the file is cut into pieces") {
  const std::string lines = "\n{\"a\": \"x\\ny\"}\r\n\n  \t\n {\"b\": [1]}\n{\"c\": 1}";
  const std::string list = "[ {\"a\": \"],\\\\\\\"{\"},\n{\"b\": [1, {}]}\n, {\"c\": 2}]\n";
  const std::vector<std::string> of_lines = {"2:{\"a\": \"x\\ny\"}\r", "5:{\"b\": [1]}", "6:{\"c\": 1}"};
  const std::vector<std::string> of_list = {"1:{\"a\": \"],\\\\\\\"{\"}", "2:{\"b\": [1, {}]}\n", "3:{\"c\": 2}"};
  for (std::size_t size = 1; size <= list.size(); ++size) {
    CHECK(scanned(lines, size) == of_lines);
    CHECK(scanned(list, size) == of_list);
  }
  CHECK(scanned("\xEF\xBB\xBF{}\n", 100) == std::vector<std::string>{"1:{}"});
  CHECK(scanned("", 1).empty());
  CHECK(scanned(" [ ] ", 1).empty());
}

TEST_CASE("a list that ends early, or does not end, is told with its line") {
  for (const char* broken : {"[{}", "[{},", "[", "[\"a\\", "[{}]\n[]", "[{}] x"}) {
    CHECK(test::error_of([&] { (void)scanned(broken, 2); }).id() == "io.240");
  }
  CHECK(test::says(test::error_of([] { (void)scanned("[{},\n{}", 3); }), "f:2"));
}
