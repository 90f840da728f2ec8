// SPDX-License-Identifier: Apache-2.0
// gguf: reads a GGUF file (versions 2 and 3): typed metadata, and tensors in place.
//
// Layout: "GGUF", u32 version, u64 tensors, u64 pairs; pairs of text key, u32 type, value; per tensor text name, u32 rank,
// u64 extents (columns first), u32 type, u64 offset; padding to general.alignment; data. Text is u64 length and bytes.
// Source: github.com/ggml-org/ggml, docs/gguf.md.
#pragma once

#include <algorithm>  // reverse, sort
#include <array>
#include <cstdint>
#include <cstring>  // memcpy
#include <map>
#include <memory>  // shared_ptr
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <graft/base/require.hpp>
#include <graft/io/mapped_file.hpp>
#include <graft/io/tensor_ref.hpp>

namespace graft::io {

namespace detail {
/// ggml's tensor types, by their number.
inline constexpr std::array<std::string_view, 40> ggml_types = {
    "F32",    "F16",      "Q4_0",     "Q4_1",     "Q4_2",  "Q4_3",  "Q5_0",       "Q5_1",       "Q8_0",       "Q8_1",
    "Q2_K",   "Q3_K",     "Q4_K",     "Q5_K",     "Q6_K",  "Q8_K",  "IQ2_XXS",    "IQ2_XS",     "IQ3_XXS",    "IQ1_S",
    "IQ4_NL", "IQ3_S",    "IQ2_S",    "IQ4_XS",   "I8",    "I16",   "I32",        "I64",        "F64",        "IQ1_M",
    "BF16",   "Q4_0_4_4", "Q4_0_4_8", "Q4_0_8_8", "TQ1_0", "TQ2_0", "IQ4_NL_4_4", "IQ4_NL_4_8", "IQ4_NL_8_8", "MXFP4"};
}  // namespace detail

/// One metadata value; every integer type arrives as int64, every float type as double. Texts point into the file.
using GgufValue = std::variant<std::int64_t, double, bool, std::string_view, std::vector<std::int64_t>,
                               std::vector<double>, std::vector<std::string_view>>;

/// One metadata pair as it stands in the file: its u32 type and its value.
struct GgufField {
  std::string key;                   ///< "general.name"
  std::span<const std::byte> typed;  ///< in the mapped file
};

/// A mapped GGUF file whose every count and offset has been checked (io.230 to io.235, io.237). Its TensorRefs and texts live as
/// long as keepalive().
class Gguf {
 public:
  /// Maps and checks the file (io.201, io.230 to io.235, io.237).
  [[nodiscard]] static Gguf open(const std::string& path) {
    Gguf opened;
    opened.file_ = MappedFile::open(path);
    opened.parse();
    return opened;
  }

  /// In the order of the file.
  [[nodiscard]] std::span<const TensorRef> tensors() const { return tensors_; }
  /// The typed key-value pairs of the header.
  [[nodiscard]] const std::map<std::string, GgufValue, std::less<>>& metadata() const { return metadata_; }
  /// The pairs as they stand, in the order of the file: for a writer that carries them on.
  [[nodiscard]] std::span<const GgufField> fields() const { return fields_; }
  [[nodiscard]] const std::string& path() const { return file_->path(); }        ///< as it was opened
  [[nodiscard]] std::shared_ptr<const void> keepalive() const { return file_; }  ///< the mapping

  /// The tensor of that name, or null.
  [[nodiscard]] const TensorRef* find(std::string_view name) const {
    const auto found =
        std::find_if(tensors_.begin(), tensors_.end(), [&](const TensorRef& t) { return t.name == name; });
    return found != tensors_.end() ? &*found : nullptr;
  }

  /// The value of `key` if it is there; io.235 if it is of another type. An integer may be read as double.
  template <class T>
  [[nodiscard]] std::optional<T> get(const std::string& key) const {
    const auto found = metadata_.find(key);
    if (found == metadata_.end()) {
      return std::nullopt;
    }
    if constexpr (std::is_same_v<T, double>) {
      if (const auto* integer = std::get_if<std::int64_t>(&found->second)) {
        return static_cast<double>(*integer);
      }
    }
    if (const T* value = std::get_if<T>(&found->second)) {
      return *value;
    }
    fail("io.235", "metadata key \"" + key + "\" is of the wrong type", path());
  }

  /// The value of `key`, or io.235 where it is absent.
  template <class T>
  [[nodiscard]] T at(const std::string& key) const {
    if (auto value = get<T>(key)) {
      return *std::move(value);
    }
    fail("io.235", "metadata key \"" + key + "\" is missing", path());
  }

 private:
  enum Type : std::uint32_t { u8, i8, u16, i16, u32, i32, f32, boolean, text, array, u64, i64, f64 };

  /// The bytes that a value of that type takes at least; 0 for a type that does not exist.
  [[nodiscard]] static constexpr std::size_t least_size(std::uint32_t type) {
    constexpr std::array<std::size_t, 13> sizes = {1, 1, 2, 2, 4, 4, 4, 1, 8, 12, 8, 8, 8};
    return type < sizes.size() ? sizes[type] : 0;
  }

  [[nodiscard]] std::span<const std::byte> take(std::uint64_t count) {
    const auto rest = file_->bytes().subspan(position_);
    if (count > rest.size()) {
      fail("io.231",
           "the file ends at byte " + std::to_string(file_->bytes().size()) + ", but " + std::to_string(count) +
               " more were expected at byte " + std::to_string(position_) + "; it is truncated or damaged",
           path());
    }
    position_ += static_cast<std::size_t>(count);
    return rest.first(static_cast<std::size_t>(count));
  }

  template <class T>
  [[nodiscard]] T number() {
    T value;
    std::memcpy(&value, take(sizeof value).data(), sizeof value);
    return value;
  }

  [[nodiscard]] std::string_view string() {
    const auto bytes = take(number<std::uint64_t>());
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }

  /// A count of things that take at least `size` bytes each: more than the file can hold are refused before any is read.
  [[nodiscard]] std::uint64_t count_of(const char* things, std::size_t size) {
    const auto count = number<std::uint64_t>();
    if (count > (file_->bytes().size() - position_) / size) {
      fail("io.232",
           "the file claims " + std::to_string(count) + " " + things + ", more than its " +
               std::to_string(file_->bytes().size()) + " bytes can hold",
           path());
    }
    return count;
  }

  [[nodiscard]] std::int64_t integer(std::uint32_t type, const std::string& key) {
    switch (type) {
      case u8:
      case boolean: return number<std::uint8_t>();
      case i8: return number<std::int8_t>();
      case u16: return number<std::uint16_t>();
      case i16: return number<std::int16_t>();
      case u32: return number<std::uint32_t>();
      case i32: return number<std::int32_t>();
      default: {
        const auto value = number<std::int64_t>();
        if (type == u64 && value < 0) {
          fail("io.232", "metadata key \"" + key + "\" holds an absurd number beyond 2^63", path());
        }
        return value;
      }
    }
  }

  [[nodiscard]] GgufValue value(std::uint32_t type, const std::string& key) {
    if (type == text) {
      return string();
    }
    if (type == array) {
      return list(key);
    }
    if (type == f32 || type == f64) {
      return type == f32 ? double{number<float>()} : number<double>();
    }
    check_type(type, key);
    const std::int64_t read = integer(type, key);
    return type == boolean ? GgufValue(read != 0) : GgufValue(read);
  }

  [[nodiscard]] GgufValue list(const std::string& key) {
    const auto type = number<std::uint32_t>();
    check_type(type, key);
    const auto count = count_of(("elements of \"" + key + "\"").c_str(), least_size(type));
    const auto collect = [count](auto values, auto next) {
      values.reserve(static_cast<std::size_t>(count));
      for (std::uint64_t i = 0; i < count; ++i) {
        values.push_back(next());
      }
      return GgufValue(std::move(values));
    };
    if (type == text) {
      return collect(std::vector<std::string_view>(), [&] { return string(); });
    }
    if (type == f32 || type == f64) {
      return collect(std::vector<double>(), [&] { return type == f32 ? double{number<float>()} : number<double>(); });
    }
    if (type == array) {
      fail("io.233", "metadata key \"" + key + "\" holds an array of arrays, which graft does not read", path());
    }
    return collect(std::vector<std::int64_t>(), [&] { return integer(type, key); });
  }

  void check_type(std::uint32_t type, const std::string& key) const {
    if (least_size(type) == 0) {
      fail("io.233", "metadata key \"" + key + "\" has the unknown type " + std::to_string(type) + ", expected 0 to 12",
           path());
    }
  }

  void parse() {
    const auto bytes = file_->bytes();
    if (bytes.size() < 4 || std::memcmp(bytes.data(), "GGUF", 4) != 0) {
      fail("io.230", "the file does not begin with \"GGUF\"", path());
    }
    position_ = 4;
    const auto version = number<std::uint32_t>();
    if (version != 2 && version != 3) {
      fail("io.230", "the file is GGUF version " + std::to_string(version) + ", expected 2 or 3, little-endian",
           path());
    }
    const auto tensor_count = count_of("tensors", 24);
    const auto pair_count = count_of("metadata pairs", 13);
    for (std::uint64_t i = 0; i < pair_count; ++i) {
      const std::string key(string());
      const std::size_t begin = position_;
      const auto type = number<std::uint32_t>();
      if (!metadata_.emplace(key, value(type, key)).second) {
        fail("io.234", "metadata key \"" + key + "\" stands twice", path());
      }
      fields_.push_back({key, bytes.subspan(begin, position_ - begin)});
    }
    std::vector<std::uint64_t> offsets;
    for (std::uint64_t i = 0; i < tensor_count; ++i) {
      tensors_.push_back(tensor_head());
      offsets.push_back(number<std::uint64_t>());
    }
    place(offsets);
  }

  [[nodiscard]] TensorRef tensor_head() {
    TensorRef tensor;
    tensor.name = std::string(string());
    tensor.file = path();
    const auto rank = number<std::uint32_t>();
    if (rank > 4) {
      fail("io.232",
           "tensor \"" + tensor.name + "\" claims " + std::to_string(rank) + " dimensions, expected at most 4", path());
    }
    for (std::uint32_t d = 0; d < rank; ++d) {
      tensor.shape.push_back(static_cast<Index>(number<std::uint64_t>()));  // beyond 2^63: negative, refused below
    }
    std::reverse(tensor.shape.begin(), tensor.shape.end());
    tensor.dtype = tensor_type(number<std::uint32_t>(), tensor.name);
    const auto size = byte_count(tensor.dtype, tensor.shape);
    if (!size && tensor.cols() > 0 && tensor.cols() % block_size(tensor.dtype) != 0) {
      fail("io.237",
           "tensor \"" + tensor.name + "\" has rows of " + std::to_string(tensor.cols()) + " numbers, but " +
               std::string(dtype_name(tensor.dtype)) + " comes in blocks of " +
               std::to_string(block_size(tensor.dtype)) + " that no row may break; the file is damaged",
           path());
    }
    if (!size) {
      fail("io.232",
           "tensor \"" + tensor.name + "\" has the absurd shape " + shape_text(tensor.shape) + " for type " +
               std::string(dtype_name(tensor.dtype)),
           path());
    }
    tensor.bytes = *size;
    return tensor;
  }

  [[nodiscard]] Dtype tensor_type(std::uint32_t type, const std::string& name) const {
    const auto& names = detail::ggml_types;
    const auto dtype = type < names.size() ? dtype_named(names[type]) : std::nullopt;
    if (!dtype) {
      fail("io.233",
           "tensor \"" + name + "\" is coded as " +
               (type < names.size() ? std::string(names[type]) : "type " + std::to_string(type)) +
               ", expected one of " + std::string(real_dtypes),
           path());
    }
    return *dtype;
  }

  /// Gives every tensor its bytes: aligned, inside the file, no two overlapping, no name twice.
  void place(std::span<const std::uint64_t> offsets) {
    const std::int64_t alignment = get<std::int64_t>("general.alignment").value_or(32);
    if (alignment < 1 || alignment > 65536 || (alignment & (alignment - 1)) != 0) {
      fail("io.234", "general.alignment is " + std::to_string(alignment) + ", expected a power of two up to 65536",
           path());
    }
    const auto begin = static_cast<std::size_t>(round_up(static_cast<Index>(position_), alignment));
    const auto all = file_->bytes();
    const auto data = all.subspan(std::min(begin, all.size()));
    std::vector<const TensorRef*> order;
    for (std::size_t i = 0; i < tensors_.size(); ++i) {
      TensorRef& tensor = tensors_[i];
      if (offsets[i] > data.size() || tensor.bytes > data.size() - offsets[i] ||
          offsets[i] % static_cast<std::uint64_t>(alignment) != 0) {
        fail("io.234",
             "tensor \"" + tensor.name + "\" lies at byte " + std::to_string(offsets[i]) + " of the data and takes " +
                 std::to_string(tensor.bytes) + ", expected a multiple of " + std::to_string(alignment) +
                 " within the " + std::to_string(data.size()) + " data bytes of the file; it is truncated or damaged",
             path());
      }
      tensor.data = data.data() + offsets[i];
      order.push_back(&tensor);
    }
    std::sort(order.begin(), order.end(), [](const TensorRef* a, const TensorRef* b) { return a->data < b->data; });
    for (std::size_t i = 1; i < order.size(); ++i) {
      if (order[i - 1]->data + order[i - 1]->bytes > order[i]->data) {
        fail("io.234", "tensors \"" + order[i - 1]->name + "\" and \"" + order[i]->name + "\" overlap", path());
      }
    }
    std::sort(order.begin(), order.end(), [](const TensorRef* a, const TensorRef* b) { return a->name < b->name; });
    for (std::size_t i = 1; i < order.size(); ++i) {
      if (order[i - 1]->name == order[i]->name) {
        fail("io.234", "tensor \"" + order[i]->name + "\" stands twice", path());
      }
    }
  }

  std::shared_ptr<const MappedFile> file_;
  std::size_t position_ = 0;
  std::map<std::string, GgufValue, std::less<>> metadata_;
  std::vector<GgufField> fields_;
  std::vector<TensorRef> tensors_;
};

}  // namespace graft::io
