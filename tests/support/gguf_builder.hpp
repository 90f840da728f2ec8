// SPDX-License-Identifier: Apache-2.0
// GgufBuilder: GGUF files made in a test, right ones and ones that lie.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <graft/base/index.hpp>

#include "support/files.hpp"

namespace graft::test {

/// Collects metadata and tensors in the order given; bytes() is the file.
struct GgufBuilder {
  std::uint32_t version = 3;
  std::uint64_t alignment = 32;
  std::string pairs;
  std::uint64_t pair_count = 0;
  std::string heads;
  std::uint64_t tensor_count = 0;
  std::string data;

  static std::string text(const std::string& value) { return raw(std::uint64_t{value.size()}) + value; }

  GgufBuilder& pair(const std::string& key, std::uint32_t type, const std::string& value) {
    pairs += text(key) + raw(type) + value;
    ++pair_count;
    return *this;
  }
  GgufBuilder& add(const std::string& key, std::uint32_t value) { return pair(key, 4, raw(value)); }
  GgufBuilder& add(const std::string& key, float value) { return pair(key, 6, raw(value)); }
  GgufBuilder& add(const std::string& key, const std::string& value) { return pair(key, 8, text(value)); }
  GgufBuilder& add(const std::string& key, const std::vector<std::string>& values) {
    std::string bytes = raw(std::uint32_t{8}) + raw(std::uint64_t{values.size()});
    for (const std::string& value : values) {
      bytes += text(value);
    }
    return pair(key, 9, bytes);
  }
  template <class T>
  GgufBuilder& list(const std::string& key, std::uint32_t type, const std::vector<T>& values) {
    std::string bytes = raw(type) + raw(std::uint64_t{values.size()});
    for (const T& value : values) {
      bytes += raw(value);
    }
    return pair(key, 9, bytes);
  }

  GgufBuilder& head(const std::string& name, const std::vector<Index>& shape, std::uint32_t type,
                    std::uint64_t offset) {
    heads += text(name) + raw(static_cast<std::uint32_t>(shape.size()));
    for (std::size_t d = shape.size(); d > 0; --d) {
      heads += raw(static_cast<std::uint64_t>(shape[d - 1]));
    }
    heads += raw(type) + raw(offset);
    ++tensor_count;
    return *this;
  }
  GgufBuilder& tensor(const std::string& name, const std::vector<Index>& shape, std::uint32_t type,
                      const std::string& bytes) {
    data.resize((data.size() + alignment - 1) / alignment * alignment, '\0');
    head(name, shape, type, data.size());
    data += bytes;
    return *this;
  }

  [[nodiscard]] std::string bytes() const {
    std::string file = "GGUF" + raw(version) + raw(tensor_count) + raw(pair_count) + pairs + heads;
    file.resize((file.size() + alignment - 1) / alignment * alignment, '\0');
    return file + data;
  }
};

}  // namespace graft::test
