// SPDX-License-Identifier: Apache-2.0
// yaml-cpp's only door: a YAML file as JSON.
#include <yaml-cpp/yaml.h>

#include <charconv>

#include <graft/io/mapped_file.hpp>

#include "config_file.hpp"

namespace graft::program {

namespace {

constexpr int yaml_depth_limit = 64;
constexpr int yaml_entry_limit = 10'000;  // aliases multiply, and a hostile file has many

/// A plain scalar by YAML's core schema; numbers that a double does not hold as they are written stay text.
io::Json scalar_json(const YAML::Node& node) {
  const std::string& text = node.Scalar();
  if (node.Tag() == "!" || node.Tag() == "tag:yaml.org,2002:str") {
    return text;  // quoted
  }
  if (text == "true" || text == "True" || text == "false" || text == "False") {
    return text.front() == 't' || text.front() == 'T';
  }
  std::int64_t whole = 0;
  const char* const end = text.data() + text.size();
  if (const auto [last, error] = std::from_chars(text.data(), end, whole); error == std::errc() && last == end) {
    return whole;
  }
  return text;  // a fraction too: it is a word again when a flag takes it, digit for digit
}

io::Json node_json(const YAML::Node& node, const std::string& path, int depth, int& count) {
  const auto refuse = [&](const std::string& what) {
    fail("train.461", "not a configuration in YAML: " + what + " at line " + std::to_string(node.Mark().line + 1),
         path);
  };
  if (depth > yaml_depth_limit || ++count > yaml_entry_limit) {
    refuse("it is nested too deep, or has too many entries,");
  }
  if (node.IsScalar()) {
    return scalar_json(node);
  }
  if (node.IsSequence()) {
    io::Json list = io::Json::array();
    for (const YAML::Node& item : node) {
      list.push_back(node_json(item, path, depth + 1, count));
    }
    return list;
  }
  if (node.IsMap()) {
    io::Json map = io::Json::object();
    for (const auto& entry : node) {
      if (!entry.first.IsScalar() || map.contains(entry.first.Scalar())) {
        refuse("a key is no word, or stands twice,");
      }
      map[entry.first.Scalar()] = node_json(entry.second, path, depth + 1, count);
    }
    return map;
  }
  return nullptr;
}

}  // namespace

io::Json read_yaml(const std::string& path) {
  const std::string text(io::MappedFile(path).text());
  try {
    int count = 0;
    return node_json(YAML::Load(text), path, 0, count);
  } catch (const YAML::Exception& error) {
    fail("train.461", "not valid YAML: " + error.msg + " at line " + std::to_string(error.mark.line + 1), path);
  }
}

}  // namespace graft::program
