// SPDX-License-Identifier: Apache-2.0
// json: the only door to nlohmann/json; parsing is bounded and strict, and every error names file, key, expected and found.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include <graft/base/require.hpp>

namespace graft::io {

using Json = nlohmann::json;

/// Parses UTF-8 text; refuses duplicate keys and nesting deeper than 64. `where` names the file in errors (io.210, io.211).
[[nodiscard]] inline Json parse_json(std::string_view text, const std::string& where) {
  std::vector<std::set<std::string>> keys;  // of the objects that are open
  const auto strict = [&](int depth, Json::parse_event_t event, Json& parsed) {
    if (depth > 64) {
      fail("io.211", "JSON is nested deeper than 64 levels", where);
    }
    if (event == Json::parse_event_t::object_start) {
      keys.emplace_back();
    } else if (event == Json::parse_event_t::object_end) {
      keys.pop_back();
    } else if (event == Json::parse_event_t::key) {
      const auto& key = parsed.get_ref<const std::string&>();
      if (!keys.back().insert(key).second) {
        fail("io.211", "JSON holds the key \"" + key + "\" twice in one object", where);
      }
    }
    return true;
  };
  try {
    return Json::parse(text.begin(), text.end(), strict);
  } catch (const Json::parse_error& error) {
    fail("io.210", "not valid JSON at byte " + std::to_string(error.byte), where);
  }
}

/// The value of `key`, or io.212 with what was expected and what was found.
template <class T>
[[nodiscard]] T json_get(const Json& object, const std::string& key, const std::string& where) {
  const auto found = object.find(key);
  if (found == object.end()) {
    fail("io.212", "key \"" + key + "\" is missing", where);
  }
  try {
    return found->template get<T>();
  } catch (const Json::exception&) {
    fail("io.212", "key \"" + key + "\" holds " + found->dump().substr(0, 80) + ", which is of the wrong kind", where);
  }
}

/// The value of `key`, or `fallback` where the key is absent or null.
template <class T>
[[nodiscard]] T json_get_or(const Json& object, const std::string& key, T fallback, const std::string& where) {
  const auto found = object.find(key);
  return found == object.end() || found->is_null() ? std::move(fallback) : json_get<T>(object, key, where);
}

}  // namespace graft::io
