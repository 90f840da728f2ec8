// SPDX-License-Identifier: Apache-2.0
#include <graft/io/json.hpp>

#include "support/catch.hpp"
#include "support/files.hpp"

using namespace graft;
using test::contains;
using test::error_of;

TEST_CASE("JSON that is cut, repeated, too deep or too large is refused in one sentence that names the file") {
  const auto parse = [](const std::string& text) { return error_of([&] { (void)io::parse_json(text, "a.json"); }); };
  CHECK(parse(R"({"a": [1, 2)").id() == "io.210");
  CHECK(parse("1e999").id() == "io.210");
  CHECK(parse("{\"a\": \"\xff\"}").id() == "io.210");
  CHECK(parse(R"({"a": 1, "b": {"a": 2}, "a": 3})").id() == "io.211");
  CHECK(parse(std::string(100000, '[')).id() == "io.211");
  CHECK_THAT(parse(R"({"a": 1, "a": 3})").what(), contains("\"a\" twice") && contains("a.json"));
  CHECK(parse(R"([{"a": 1}, {"a": 2}])").id() == "none");
}

TEST_CASE("a JSON value of another kind or range does not become a number in silence") {
  const io::Json json = io::parse_json(R"({"half": 0.5, "yes": true, "big": 4294967296, "minus": -1, "text": "7",
                                           "list": [1, 2.5], "null": null, "seven": 7})",
                                       "a.json");
  const auto as_int = [&](const char* key) {
    return error_of([&] { (void)io::json_get<int>(json, key, "a.json"); }).id();
  };
  for (const char* key : {"half", "yes", "big", "text", "list", "null", "absent"}) {
    INFO(key);
    CHECK(as_int(key) == "io.212");
  }
  CHECK(io::json_get<int>(json, "seven", "") == 7);
  CHECK(io::json_get<double>(json, "seven", "") == 7.0);
  CHECK(io::json_get<long>(json, "big", "") == 4294967296);
  CHECK(error_of([&] { (void)io::json_get<std::size_t>(json, "minus", ""); }).id() == "io.212");
  CHECK(error_of([&] { (void)io::json_get<std::vector<int>>(json, "list", ""); }).id() == "io.212");
  CHECK(error_of([&] { (void)io::json_get<bool>(json, "seven", ""); }).id() == "io.212");
  CHECK(io::json_get<std::vector<double>>(json, "list", "") == std::vector<double>{1, 2.5});
  CHECK_THAT(error_of([&] { (void)io::json_get<int>(json, "half", "a.json"); }).what(),
             contains("\"half\"") && contains("0.5") && contains("a.json"));
}

TEST_CASE("null and absent keys take the fallback, a wrong kind does not") {
  const io::Json json = io::parse_json(R"({"null": null, "text": "x"})", "a.json");
  CHECK(io::json_get_or(json, "null", 5, "") == 5);
  CHECK(io::json_get_or(json, "absent", 6, "") == 6);
  CHECK(error_of([&] { (void)io::json_get_or(json, "text", 7, ""); }).id() == "io.212");
}
