// SPDX-License-Identifier: Apache-2.0
// JsonKeys: how tokenizer.json is read: every key is known or refused by name, every value is of the kind expected.
#pragma once

#include <initializer_list>
#include <string>

#include <graft/base/require.hpp>
#include <graft/io/json.hpp>

namespace graft::text::detail {

class JsonKeys {
 public:
  using Names = std::initializer_list<const char*>;

  explicit JsonKeys(const std::string& where) : where_(where) {}

  [[nodiscard]] const std::string& where() const { return where_; }

  [[noreturn]] void refuse(const std::string& key, const std::string& found, const std::string& expected) const {
    fail("text.320",
         "\"" + key + "\" is " + found.substr(0, 80) + ", which graft does not support (expected " + expected + ")",
         where_);
  }

  /// Every key of the object must be one of those that the reader looks at.
  void known(const io::Json& object, const std::string& name, Names expected) const {
    if (!object.is_object()) {
      refuse(name, object.dump(), "an object");
    }
    for (const auto& [key, value] : object.items()) {
      bool found = false;
      for (const char* candidate : expected) {
        found = found || key == candidate;
      }
      if (!found) {
        refuse(name + "." + key, value.dump(), "no such key");
      }
    }
  }

  [[nodiscard]] const io::Json& member(const io::Json& object, const std::string& key) const {
    const auto found = object.find(key);
    if (found == object.end()) {
      fail("io.212", "key \"" + key + "\" is missing", where_);
    }
    return *found;
  }

  static io::Json optional_member(const io::Json& object, const std::string& key) {
    const auto found = object.find(key);
    return found == object.end() ? io::Json() : *found;
  }

  [[nodiscard]] std::string type_of(const io::Json& object, const std::string& name) const {
    if (!object.is_object()) {
      refuse(name, object.dump(), "an object");
    }
    return io::json_get<std::string>(object, "type", where_);
  }

  [[nodiscard]] bool flag(const io::Json& object, const char* key, bool fallback) const {
    return io::json_get_or<bool>(object, key, fallback, where_);
  }

  [[nodiscard]] std::string string_of(const io::Json& object, const char* key) const {
    return io::json_get<std::string>(object, key, where_);
  }

  std::string literal_pattern(const io::Json& json, const std::string& name) const {
    const io::Json& pattern = member(json, "pattern");
    known(pattern, name + ".pattern", {"String"});
    std::string text = string_of(pattern, "String");
    if (text.empty()) {
      refuse(name + ".pattern.String", "empty", "a text");
    }
    return text;
  }

 private:
  std::string where_;
};

}  // namespace graft::text::detail
