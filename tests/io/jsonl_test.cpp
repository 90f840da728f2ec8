// SPDX-License-Identifier: Apache-2.0
#include <graft/io/jsonl.hpp>

#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/files.hpp"
#include "support/paths.hpp"

using namespace graft;
using test::contains;
using test::error_of;

namespace {

std::vector<std::string> records(const std::string& text) {  // "line:record" of each
  const test::TempFolder folder;
  std::vector<std::string> records;
  io::for_each_record(folder.write("data.jsonl", text), [&](io::Json&& record, Index line) {
    records.push_back(std::to_string(line) + ":" + record.dump());
  });
  return records;
}

Error failure(const std::string& text) {
  return error_of([&] { (void)records(text); });
}

}  // namespace

TEST_CASE("a line is a record, whatever its line ends, blank lines and byte order mark") {
  const std::vector<std::string> expected = {R"(1:{"a":1})", R"(4:{"b":"x\ny"})"};
  CHECK(records("{\"a\":1}\n\n \t\n{\"b\":\"x\\ny\"}\n") == expected);
  CHECK(records("\xEF\xBB\xBF{\"a\":1}\r\n\r\n\r\n{\"b\":\"x\\ny\"}") == expected);
  CHECK(records("").empty());
  CHECK(records("\n\n").empty());
}

TEST_CASE("a JSON list gives the same records as lines do, with the line where each begins") {
  CHECK(records("[{\"a\": 1},\n {\"b\": \"},]\\\"{\"},\n\n {\"c\": [1, {\"d\": 2}]}\n]\n") ==
        std::vector<std::string>{R"(1:{"a":1})", R"(2:{"b":"},]\"{"})", R"(4:{"c":[1,{"d":2}]})"});
  CHECK(records("[]").empty());
  CHECK(records(" [ ] ").empty());
}

TEST_CASE("a broken record is named by file and line, in both forms") {
  CHECK(failure("{\"a\":1}\n{\"a\":\n").id() == "io.210");
  CHECK_THAT(failure("{\"a\":1}\n{\"a\":\n").what(), contains("data.jsonl:2"));
  CHECK_THAT(failure("[{\"a\":1},\n{\"a\" 1}]").what(), contains("io.210") && contains("data.jsonl:2"));
  CHECK_THAT(failure("[{\"a\":1}\n{\"a\":1}]").what(), contains("io.210") && contains("data.jsonl:1"));
  CHECK_THAT(failure("[{\"a\":1},\n{\"a\":1}").what(), contains("io.240") && contains("data.jsonl:2"));
  CHECK_THAT(failure("[{\"a\":1},\n]").what(), contains("io.210"));
  CHECK_THAT(failure("[{\"a\":1}]\n[]").what(), contains("io.240") && contains("data.jsonl:2"));
  CHECK_THAT(failure("[\"a").what(), contains("io.240"));
  CHECK_THAT(failure("[\"a\\").what(), contains("io.240"));
  CHECK_THAT(failure("[").what(), contains("io.240"));
  CHECK_THAT(failure("{\"a\":1}\n7\n").what(), contains("io.241") && contains("data.jsonl:2") && contains("found 7"));
  CHECK_THAT(failure("[[1]]").what(), contains("io.241"));
}

TEST_CASE("the commonsense lists and instruction lines of the shared data have the counts that their README gives",
          "[shared]") {
  const auto count = [](const std::string& name) {
    Index records = 0;
    io::for_each_record(test::shared("data/" + name),
                        [&](io::Json&& record, Index) { records += record.contains("instruction") ? 1 : 0; });
    return records;
  };
  CHECK(count("commonsense/boolq_train.json") == 9427);
  CHECK(count("commonsense/arc_easy_test.json") == 2376);
  CHECK(count("instruct/ultrafeedback_1k.jsonl") == 1000);
}
