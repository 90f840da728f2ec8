// SPDX-License-Identifier: Apache-2.0
#include <graft/text/json_keys.hpp>

#include "support/catch.hpp"

using graft::io::Json;
using graft::test::contains;
using graft::text::detail::JsonKeys;

TEST_CASE("a key that nobody reads is text.320 and named with its file", "[text]") {
  const JsonKeys at("f.json");
  CHECK_NOTHROW(at.known(Json{{"a", 1}}, "model", {"a", "b"}));
  CHECK_THROWS_WITH(at.known(Json{{"c", 1}}, "model", {"a", "b"}),
                    contains("text.320") && contains("model.c") && contains("f.json"));
  CHECK_THROWS_WITH(at.known(Json(3), "model", {}), contains("text.320") && contains("3"));
}

TEST_CASE("a missing key is io.212, an optional one null", "[text]") {
  const JsonKeys at("f.json");
  CHECK_THROWS_WITH(at.member(Json::object(), "vocab"), contains("io.212") && contains("vocab"));
  CHECK(JsonKeys::optional_member(Json::object(), "vocab").is_null());
  CHECK_THROWS_WITH(at.flag(Json{{"a", "yes"}}, "a", false), contains("io.212"));
  CHECK_THROWS_WITH(at.literal_pattern(Json{{"pattern", {{"Regex", "a"}}}}, "x"), contains("x.pattern.Regex"));
}
