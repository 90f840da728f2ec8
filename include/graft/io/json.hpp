// SPDX-License-Identifier: Apache-2.0
// json: the only door to nlohmann/json; parsing is bounded and strict, and every error names file, key, expected and found.
#pragma once

#include <cstdint>  // int64_t
#include <set>
#include <string>
#include <string_view>
#include <type_traits>  // is_integral_v
#include <utility>      // in_range
#include <vector>

#include <nlohmann/json.hpp>

#include <graft/base/require.hpp>

namespace graft::io {

/// A JSON value; the keys of an object are sorted.
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
  } catch (const Json::exception&) {  // a number beyond double
    fail("io.210", "not valid JSON: it holds a number that no double can hold", where);
  }
}

namespace detail {
/// nlohmann turns 3.7, true and 2^40 into an int without a word; here each type takes its own kind and range only.
template <class T>
[[nodiscard]] bool json_holds(const Json& value) {
  if constexpr (std::is_same_v<T, bool>) {
    return value.is_boolean();
  } else if constexpr (std::is_integral_v<T>) {
    return value.is_number_unsigned() ? std::in_range<T>(value.get<std::uint64_t>())
                                      : value.is_number_integer() && std::in_range<T>(value.get<std::int64_t>());
  } else if constexpr (std::is_floating_point_v<T>) {
    return value.is_number();
  } else {
    return true;
  }
}
template <class T>
inline constexpr bool is_vector = false;
template <class T>
inline constexpr bool is_vector<std::vector<T>> = true;
}  // namespace detail

/// A JSON value as a T, or io.212 with what was found; `key` names it in the error.
template <class T>
[[nodiscard]] T json_as(const Json& value, const std::string& key, const std::string& where) {
  if constexpr (detail::is_vector<T>) {
    if (value.is_array()) {
      T values;
      for (const Json& element : value) {
        values.push_back(json_as<typename T::value_type>(element, key, where));
      }
      return values;
    }
  } else if (detail::json_holds<T>(value)) {
    try {
      return value.get<T>();
    } catch (const Json::exception&) {  // falls through to the message
    }
  }
  fail("io.212",
       "key \"" + key + "\" holds " + value.dump(-1, ' ', false, Json::error_handler_t::replace).substr(0, 80) +
           ", which is of the wrong kind",
       where);
}

/// The value of `key`, or io.212 with what was expected and what was found.
template <class T>
[[nodiscard]] T json_get(const Json& object, const std::string& key, const std::string& where) {
  const auto found = object.find(key);
  if (found == object.end()) {
    fail("io.212", "key \"" + key + "\" is missing", where);
  }
  return json_as<T>(*found, key, where);
}

/// The value of `key`, or `fallback` where the key is absent or null.
template <class T>
[[nodiscard]] T json_get_or(const Json& object, const std::string& key, T fallback, const std::string& where) {
  const auto found = object.find(key);
  return found == object.end() || found->is_null() ? std::move(fallback) : json_get<T>(object, key, where);
}

}  // namespace graft::io
