// SPDX-License-Identifier: Apache-2.0
// safetensors: reads a file of named tensors in place, and writes one.
//
// Layout: u64 header length, JSON {name: {"dtype", "shape", "data_offsets": [begin, end]}, "__metadata__": {text: text}},
// then the data, which the tensors cover without hole or overlap. Source: github.com/huggingface/safetensors, README.
#pragma once

#include <algorithm>  // sort
#include <cstdint>    // uint64_t
#include <cstring>    // memcpy
#include <map>
#include <span>
#include <string>
#include <utility>  // move
#include <vector>

#include <graft/base/require.hpp>
#include <graft/io/atomic_file.hpp>
#include <graft/io/json.hpp>
#include <graft/io/mapped_file.hpp>
#include <graft/io/named_tensors.hpp>
#include <graft/io/tensor_ref.hpp>

namespace graft::io {

/// A mapped safetensors file whose every offset has been checked.
class Safetensors : public NamedTensors {
 public:
  /// The format's own bound on the header.
  static constexpr std::uint64_t header_limit = 100'000'000;

  /// Maps and checks the file (io.201, io.220 to io.224).
  [[nodiscard]] static Safetensors open(const std::string& path) {
    const auto file = MappedFile::open(path);
    Safetensors opened;
    opened.hold({path, {}, file});
    opened.hold({path, opened.parse(*file), file});
    return opened;
  }

  /// The texts under __metadata__.
  [[nodiscard]] const std::map<std::string, std::string>& metadata() const { return metadata_; }

 private:
  void hold(NamedTensors tensors) { static_cast<NamedTensors&>(*this) = std::move(tensors); }

  [[nodiscard]] std::vector<TensorRef> parse(const MappedFile& file) {
    const auto bytes = file.bytes();
    std::uint64_t header_size = 0;
    if (bytes.size() < sizeof header_size) {
      fail("io.220", "the file has " + std::to_string(bytes.size()) + " bytes, expected at least 8; it is truncated",
           path());
    }
    std::memcpy(&header_size, bytes.data(), sizeof header_size);
    if (header_size > header_limit || header_size > bytes.size() - sizeof header_size) {
      fail("io.220",
           "the header claims " + std::to_string(header_size) + " bytes, but the file has " +
               std::to_string(bytes.size()) + "; it is truncated or not a safetensors file",
           path());
    }
    const auto header = static_cast<std::size_t>(header_size);
    const Json json = parse_json(file.text().substr(sizeof header_size, header), path());
    if (!json.is_object()) {
      fail("io.221", "the header is not a JSON object", path());
    }
    const auto data = bytes.subspan(sizeof header_size + header);
    std::vector<TensorRef> tensors;
    for (const auto& [name, entry] : json.items()) {
      if (name == "__metadata__" && entry.is_null()) {  // mlx's word for none
        continue;
      }
      if (name == "__metadata__") {
        metadata_ = json_get<std::map<std::string, std::string>>(json, name, path());
      } else {
        tensors.push_back(parse_tensor(name, entry, data));
      }
    }
    check_cover(tensors, data);
    return tensors;
  }

  [[nodiscard]] TensorRef parse_tensor(const std::string& name, const Json& entry,
                                       std::span<const std::byte> data) const {
    const std::string where = path() + ": " + name;
    if (!entry.is_object()) {
      fail("io.221", "the header entry of tensor \"" + name + "\" is not an object", path());
    }
    const auto dtype_text = json_get<std::string>(entry, "dtype", where);
    const auto dtype = dtype_named(dtype_text);
    if (!dtype || block_size(*dtype) > 1) {
      fail("io.222",
           "tensor \"" + name + "\" has dtype \"" + dtype_text +
               "\", expected one of F64, F32, F16, BF16, I64, I32, I16, I8, U8, BOOL",
           path());
    }
    const auto shape = json_get<std::vector<Index>>(entry, "shape", where);
    const auto offsets = json_get<std::vector<Index>>(entry, "data_offsets", where);
    if (offsets.size() != 2 || offsets[0] < 0 || offsets[0] > offsets[1] ||
        static_cast<std::size_t>(offsets[1]) > data.size()) {
      fail("io.223",
           "tensor \"" + name + "\" lies at " + shape_text(offsets) + ", expected [begin, end] within the " +
               std::to_string(data.size()) + " data bytes of the file; it is truncated or damaged",
           path());
    }
    const auto expected = byte_count(*dtype, shape);
    const auto found = static_cast<std::size_t>(offsets[1] - offsets[0]);
    if (expected != found) {
      fail("io.223",
           "tensor \"" + name + "\" of dtype " + dtype_text + " and shape " + shape_text(shape) + " takes " +
               (expected ? std::to_string(*expected) : std::string("an absurd number of")) + " bytes, found " +
               std::to_string(found),
           path());
    }
    return {name, *dtype, shape, data.data() + offsets[0], found, path()};
  }

  /// The format demands that the tensors cover the data exactly: a hole may hide something, an overlap is damage.
  void check_cover(const std::vector<TensorRef>& tensors, std::span<const std::byte> data) const {
    std::vector<const TensorRef*> order;
    for (const TensorRef& tensor : tensors) {
      order.push_back(&tensor);
    }
    std::sort(order.begin(), order.end(), [](const TensorRef* a, const TensorRef* b) {
      return a->data != b->data ? a->data < b->data : a->bytes < b->bytes;
    });
    const std::byte* end = data.data();
    for (const TensorRef* tensor : order) {
      if (tensor->data != end) {
        fail("io.224",
             "tensor \"" + tensor->name + "\" begins at byte " + std::to_string(tensor->data - data.data()) +
                 " of the data, expected " + std::to_string(end - data.data()) + ": tensors " +
                 (tensor->data < end ? "overlap" : "leave a hole"),
             path());
      }
      end += tensor->bytes;
    }
    if (end != data.data() + data.size()) {
      fail("io.224",
           "the tensors end at byte " + std::to_string(end - data.data()) + " of the data, but the file has " +
               std::to_string(data.size()) + ": there are bytes that belong to no tensor",
           path());
    }
  }

  std::map<std::string, std::string> metadata_;
};

/// Writes the tensors atomically, widest type first and the data at a multiple of 64, so that each can be used in place.
/// `bytes_of(tensor)` gives the bytes of one when its turn comes: no more than one need exist at a time.
template <class BytesOf>
void write_safetensors(const std::string& path, std::span<const TensorRef> tensors,
                       const std::map<std::string, std::string>& metadata, BytesOf&& bytes_of) {
  std::vector<const TensorRef*> order;
  for (const TensorRef& tensor : tensors) {
    order.push_back(&tensor);
  }
  const auto width = [](const TensorRef* t) { return byte_count(t->dtype, block_size(t->dtype)); };
  std::sort(order.begin(), order.end(), [&](const TensorRef* a, const TensorRef* b) {
    return width(a) != width(b) ? width(a) > width(b) : a->name < b->name;
  });
  Json header = Json::object();
  if (!metadata.empty()) {
    header["__metadata__"] = metadata;
  }
  std::size_t offset = 0;
  for (const TensorRef* tensor : order) {
    if (block_size(tensor->dtype) > 1 || tensor->pair_heads > 0 ||
        byte_count(tensor->dtype, tensor->shape) != tensor->bytes || tensor->name == "__metadata__" ||
        header.contains(tensor->name)) {
      fail("io.226",
           "tensor \"" + tensor->name + "\" cannot be written: its name, dtype or size has no place in the format",
           path);
    }
    header[tensor->name] = {{"dtype", dtype_name(tensor->dtype)},
                            {"shape", tensor->shape},
                            {"data_offsets", {offset, offset + tensor->bytes}}};
    offset += tensor->bytes;
  }
  std::string text = header.dump();
  text.resize(static_cast<std::size_t>(round_up(static_cast<Index>(text.size()) + 8, 64)) - 8, ' ');
  const std::uint64_t size = text.size();
  AtomicFile file(path);
  file.write(std::as_bytes(std::span(&size, 1)));
  file.write(text);
  for (const TensorRef* tensor : order) {
    file.write(bytes_of(*tensor));
  }
  file.commit();
}

/// The same of tensors that lie in memory.
inline void write_safetensors(const std::string& path, std::span<const TensorRef> tensors,
                              const std::map<std::string, std::string>& metadata = {}) {
  write_safetensors(path, tensors, metadata,
                    [](const TensorRef& tensor) { return std::span(tensor.data, tensor.bytes); });
}

}  // namespace graft::io
