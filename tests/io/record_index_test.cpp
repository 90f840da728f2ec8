// SPDX-License-Identifier: Apache-2.0
#include <graft/io/record_index.hpp>

#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/files.hpp"

using namespace graft;

namespace {

std::vector<std::string> read_all(const io::RecordIndex& index) {
  std::vector<std::string> all;
  std::string buffer;
  for (Index i = 0; i < index.size(); ++i) {
    all.emplace_back(index.read(i, buffer));
  }
  return all;
}

}  // namespace

TEST_CASE("records are read in any order, from lines and from a list, without what stands between them") {
  const test::TempFolder folder;
  const std::vector<std::string> expected = {"{\"a\": 1}", "{\"b\": [2, 3]}", "{\"c\": \",\"}"};
  const io::RecordIndex lines(folder.write("l.jsonl", "{\"a\": 1}\r\n\n{\"b\": [2, 3]} \n{\"c\": \",\"}"));
  const io::RecordIndex list(folder.write("l.json", " [{\"a\": 1},\n\n{\"b\": [2, 3]} ,{\"c\": \",\"}\n]\n"));
  CHECK(read_all(lines) == expected);
  CHECK(read_all(list) == expected);
  std::string buffer;
  CHECK(lines.read(2, buffer) == expected[2]);
  CHECK(lines.read(0, buffer) == expected[0]);
  CHECK(lines.line(0) == 1);
  CHECK(lines.line(1) == 3);
  CHECK(lines.line(2) == 4);
  CHECK(list.line(2) == 3);
  CHECK(io::RecordIndex(folder.write("empty.jsonl", "\n \n")).size() == 0);
  CHECK(io::RecordIndex(folder.write("none.json", "[]")).size() == 0);
}

TEST_CASE("a file larger than one read of the disk gives the same records") {
  const test::TempFolder folder;
  std::string text;
  std::vector<std::string> expected;
  for (int i = 0; i < 3000; ++i) {
    expected.push_back("{\"n\": " + std::to_string(i) + ", \"t\": \"" + std::string(700, 'x') + "\"}");
    text += expected.back() + "\n";
  }
  REQUIRE(text.size() > (std::size_t{2} << 20));
  const io::RecordIndex index(folder.write("big.jsonl", text));
  CHECK(read_all(index) == expected);
  CHECK(index.line(2999) == 3000);
}

TEST_CASE("a text is cut at line ends into pieces that fit, or between characters, and nothing of it is lost") {
  const test::TempFolder folder;
  const std::string text = "one\ntwo\nthree four five\nsi\xC3\xA4\xC3\xB6\xC3\xBC\n";
  for (const Index piece : {4, 5, 8, 9, 100}) {
    const io::RecordIndex index(folder.write("t.txt", text), piece);
    CHECK(index.is_text());
    std::string whole;
    for (const std::string& part : read_all(index)) {
      CHECK(std::ssize(part) <= piece);
      CHECK((static_cast<unsigned char>(part[0]) & 0xC0u) != 0x80u);
      whole += part;
    }
    CHECK(whole == text);
  }
  CHECK(read_all(io::RecordIndex(folder.path("t.txt"), 8)).front() == "one\ntwo\n");
  CHECK(io::RecordIndex(folder.write("empty.txt", "")).size() == 0);
  CHECK(test::error_of([&] { (void)io::RecordIndex(folder.path("t.txt"), 3); }).id() == "train.473");
}

TEST_CASE("a file that is absent, is a folder, or became shorter is an error that says so") {
  const test::TempFolder folder;
  CHECK(test::error_of([&] { (void)io::RecordIndex(folder.path("absent.jsonl")); }).id() == "io.201");
  CHECK(test::error_of([&] { (void)io::RecordIndex(folder.path()); }).id() == "io.201");
  const io::RecordIndex index(folder.write("shrinks.jsonl", "{\"a\": 1}\n{\"b\": 2}\n"));
  (void)folder.write("shrinks.jsonl", "{}\n");
  std::string buffer;
  CHECK(test::error_of([&] { (void)index.read(1, buffer); }).id() == "train.472");
}
