// SPDX-License-Identifier: Apache-2.0
// write_gguf: writes a GGUF file of version 3: typed metadata, then aligned tensors, one at a time in memory.
//
// The layout is io/gguf.hpp's. Source: github.com/ggml-org/ggml, docs/gguf.md.
#pragma once

#include <algorithm>  // find, find_if
#include <cstddef>    // byte
#include <cstdint>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include <graft/base/require.hpp>
#include <graft/io/atomic_file.hpp>
#include <graft/io/gguf.hpp>
#include <graft/io/tensor_ref.hpp>

namespace graft::io {

namespace detail {

/// GGUF's number of a type of metadata; a text stands for every type that converts to one.
template <class T>
[[nodiscard]] constexpr std::uint32_t gguf_type() {
  if constexpr (std::is_same_v<T, bool>) {
    return 7;
  } else if constexpr (std::is_convertible_v<T, std::string_view>) {
    return 8;
  } else if constexpr (std::is_floating_point_v<T>) {
    return sizeof(T) == 4 ? 6 : 12;
  } else {
    static_assert(std::is_integral_v<T>, "GGUF metadata is a number, a bool, a text, or a vector of one of them");
    constexpr std::uint32_t widths[] = {0, 0, 2, 0, 4, 0, 0, 0, 10};
    return widths[sizeof(T)] + (std::is_signed_v<T> ? 1 : 0);
  }
}

template <class T>
void append_number(std::string& bytes, T value) {
  bytes.append(reinterpret_cast<const char*>(&value), sizeof value);
}

inline void append_text(std::string& bytes, std::string_view text) {
  append_number(bytes, std::uint64_t{text.size()});
  bytes.append(text);
}

template <class T>
void append_value(std::string& bytes, const T& value) {
  if constexpr (gguf_type<T>() == 8) {
    append_text(bytes, value);
  } else if constexpr (std::is_same_v<T, bool>) {
    append_number(bytes, std::uint8_t{value});
  } else {
    append_number(bytes, value);
  }
}

}  // namespace detail

/// The header's pairs, in the order in which they were first set. The type of a value is the type that it is given in:
/// std::uint32_t{7} is a u32, 0.5f an f32, a vector an array.
class GgufMetadata {
 public:
  /// Adds a pair, or replaces the value of that key.
  template <class T>
  void set(const std::string& key, const T& value) {
    std::string typed;
    detail::append_number(typed, detail::gguf_type<T>());
    detail::append_value(typed, value);
    put(key, std::move(typed));
  }
  /// The same with an array.
  template <class T>
  void set(const std::string& key, const std::vector<T>& values) {
    std::string typed;
    detail::append_number(typed, std::uint32_t{9});
    detail::append_number(typed, detail::gguf_type<T>());
    detail::append_number(typed, std::uint64_t{values.size()});
    for (const T& value : values) {  // a proxy of vector<bool> becomes a bool here
      detail::append_value(typed, value);
    }
    put(key, std::move(typed));
  }
  /// Carries a pair of another file on, as it stands.
  void set(const GgufField& field) {
    put(field.key, std::string(reinterpret_cast<const char*>(field.typed.data()), field.typed.size()));
  }
  /// Takes a pair out, if it is there.
  void erase(std::string_view key) {
    std::erase_if(pairs_, [&](const Pair& pair) { return pair.key == key; });
  }

  [[nodiscard]] std::size_t size() const { return pairs_.size(); }  ///< pairs
  /// The pairs as the file holds them.
  [[nodiscard]] std::string bytes() const {
    std::string all;
    for (const Pair& pair : pairs_) {
      detail::append_text(all, pair.key);
      all += pair.typed;
    }
    return all;
  }

 private:
  struct Pair {
    std::string key;
    std::string typed;
  };
  void put(const std::string& key, std::string typed) {
    const auto found = std::find_if(pairs_.begin(), pairs_.end(), [&](const Pair& pair) { return pair.key == key; });
    if (found != pairs_.end()) {
      found->typed = std::move(typed);
    } else {
      pairs_.push_back({key, std::move(typed)});
    }
  }

  std::vector<Pair> pairs_;
};

/// Writes metadata and tensors atomically, in the order given, each tensor at a multiple of 32 bytes. `bytes_of(tensor)` gives
/// the bytes of one when its turn comes: no more than one need exist at a time. A tensor that the format has no place for is
/// io.272.
template <class BytesOf>
void write_gguf(const std::string& path, GgufMetadata metadata, std::span<const TensorRef> tensors,
                BytesOf&& bytes_of) {
  constexpr std::size_t alignment = 32;
  metadata.set("general.alignment", static_cast<std::uint32_t>(alignment));
  const auto padding = [](std::size_t bytes) { return (alignment - bytes % alignment) % alignment; };
  std::string header = "GGUF";
  detail::append_number(header, std::uint32_t{3});
  detail::append_number(header, std::uint64_t{tensors.size()});
  detail::append_number(header, std::uint64_t{metadata.size()});
  header += metadata.bytes();
  std::set<std::string_view> names;
  std::uint64_t offset = 0;
  for (const TensorRef& tensor : tensors) {
    const auto type = std::find(detail::ggml_types.begin(), detail::ggml_types.end(), dtype_name(tensor.dtype));
    if (type == detail::ggml_types.end() || tensor.shape.size() > 4 || tensor.name.size() > 63 ||
        byte_count(tensor.dtype, tensor.shape) != tensor.bytes || !names.insert(tensor.name).second) {
      fail("io.272",
           "tensor \"" + tensor.name +
               "\" cannot be written: its name (63 bytes, only once), dtype, rank or size has no place in GGUF",
           path);
    }
    detail::append_text(header, tensor.name);
    detail::append_number(header, static_cast<std::uint32_t>(tensor.shape.size()));
    for (auto extent = tensor.shape.rbegin(); extent != tensor.shape.rend(); ++extent) {
      detail::append_number(header, static_cast<std::uint64_t>(*extent));
    }
    detail::append_number(header, static_cast<std::uint32_t>(type - detail::ggml_types.begin()));
    detail::append_number(header, offset);
    offset += tensor.bytes + padding(tensor.bytes);
  }
  header.append(padding(header.size()), '\0');
  AtomicFile file(path);
  file.write(header);
  for (const TensorRef& tensor : tensors) {
    const std::span<const std::byte> bytes = bytes_of(tensor);
    require(bytes.size() == tensor.bytes, "io.274", "write_gguf: bytes_of gave another number of bytes");
    file.write(bytes);
    file.write(std::string(padding(bytes.size()), '\0'));
  }
  file.commit();
}

/// The same of tensors that lie in memory.
inline void write_gguf(const std::string& path, const GgufMetadata& metadata, std::span<const TensorRef> tensors) {
  write_gguf(path, metadata, tensors, [](const TensorRef& tensor) { return std::span(tensor.data, tensor.bytes); });
}

}  // namespace graft::io
