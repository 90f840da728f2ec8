// SPDX-License-Identifier: Apache-2.0
// torch_zip: reads and writes the zip files of torch.save, as far as they hold named tensors. The only door to libzip.
//
// Members, all stored: STEM/data.pkl (state_dict.hpp), STEM/data/KEY the bytes of a storage, STEM/byteorder "little",
// STEM/version. Nothing is unpacked to the disk, and no name of a member becomes a path. Source: torch/serialization.py.
#pragma once

#include <zip.h>

#include <algorithm>  // find
#include <cstddef>    // byte
#include <cstdint>
#include <cstring>  // memcpy
#include <list>
#include <map>
#include <memory>  // make_shared, unique_ptr
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <graft/base/require.hpp>
#include <graft/io/atomic_file.hpp>
#include <graft/io/mapped_file.hpp>
#include <graft/io/named_tensors.hpp>
#include <graft/io/state_dict.hpp>

namespace graft::io {

namespace detail {

/// One error of libzip, as text.
class ZipError {
 public:
  ZipError() { zip_error_init(&error_); }
  ZipError(const ZipError&) = delete;
  ZipError& operator=(const ZipError&) = delete;
  ~ZipError() { zip_error_fini(&error_); }
  [[nodiscard]] zip_error_t* get() { return &error_; }
  [[nodiscard]] std::string text() { return zip_error_strerror(&error_); }

 private:
  zip_error_t error_{};
};

using ZipArchive = std::unique_ptr<zip_t, void (*)(zip_t*)>;

/// A zip file whose members are read into memory one by one: stored and plain ones only, together no more than the file.
class ZipMembers {
 public:
  explicit ZipMembers(const std::string& path) : file_(path) {
    ZipError error;
    zip_source_t* source = zip_source_buffer_create(file_.bytes().data(), file_.bytes().size(), 0, error.get());
    if (source != nullptr) {
      zip_.reset(zip_open_from_source(source, ZIP_RDONLY | ZIP_CHECKCONS, error.get()));
    }
    if (zip_ == nullptr) {
      zip_source_free(source);
      fail("io.260",
           "the file is no whole zip file (" + error.text() +
               "); expected what torch.save writes since 1.6: it is cut, damaged or older",
           path);
    }
    const zip_int64_t count = zip_get_num_entries(zip_.get(), 0);
    std::uint64_t all = 0;
    for (zip_int64_t i = 0; i < count; ++i) {
      const auto [name, size] = checked(static_cast<zip_uint64_t>(i));
      all += size;
      if (all > file_.bytes().size() || !sizes_.emplace(name, size).second) {
        fail("io.261",
             "member \"" + name +
                 "\" of the zip file stands twice, or shares its bytes with another: expected members "
                 "that lie side by side",
             path);
      }
    }
  }

  [[nodiscard]] std::size_t file_bytes() const { return file_.bytes().size(); }
  /// The names of all members and their sizes.
  [[nodiscard]] const std::map<std::string, std::uint64_t>& sizes() const { return sizes_; }

  /// The bytes of a member; one that is not there or fails its checksum is io.261.
  [[nodiscard]] std::string read(const std::string& name) const {
    const auto found = sizes_.find(name);
    if (found == sizes_.end()) {
      fail("io.261", "the zip file holds no member \"" + name + "\"", file_.path());
    }
    const std::unique_ptr<zip_file_t, int (*)(zip_file_t*)> member(zip_fopen(zip_.get(), name.c_str(), ZIP_FL_ENC_RAW),
                                                                   &zip_fclose);
    std::string bytes(static_cast<std::size_t>(found->second) + 1,
                      '\0');  // the end is where the checksum is held against it
    const zip_int64_t size = member == nullptr ? -1 : zip_fread(member.get(), bytes.data(), bytes.size());
    char beyond = 0;
    if (size != static_cast<zip_int64_t>(found->second) || zip_fread(member.get(), &beyond, 1) != 0) {
      fail("io.261", "member \"" + name + "\" of the zip file cannot be read or fails its checksum; it is damaged",
           file_.path());
    }
    bytes.pop_back();
    return bytes;
  }

 private:
  [[nodiscard]] std::pair<std::string, std::uint64_t> checked(zip_uint64_t i) const {
    zip_stat_t status;
    zip_stat_init(&status);
    constexpr zip_uint64_t needed =
        ZIP_STAT_NAME | ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE | ZIP_STAT_COMP_METHOD | ZIP_STAT_ENCRYPTION_METHOD;
    if (zip_stat_index(zip_.get(), i, ZIP_FL_ENC_RAW, &status) != 0 || (status.valid & needed) != needed) {
      fail("io.261", "member " + std::to_string(i) + " of the zip file says too little about itself", file_.path());
    }
    const std::string name = status.name;
    const bool outside = name.starts_with('/') || name.find('\\') != name.npos || name.starts_with("../") ||
                         name.find("/../") != name.npos || name.ends_with("/..");
    if (status.comp_method != ZIP_CM_STORE || status.encryption_method != ZIP_EM_NONE ||
        status.size != status.comp_size || status.size > file_.bytes().size() || outside) {
      fail("io.261",
           "member \"" + name.substr(0, 80) + "\" of the zip file (" + std::to_string(status.comp_size) +
               " bytes that become " + std::to_string(status.size) +
               ") is compressed, encrypted, or named as a path out of the file; torch.save writes none of that",
           file_.path());
    }
    return {name, status.size};
  }

  MappedFile file_;
  ZipArchive zip_{nullptr, &zip_discard};
  std::map<std::string, std::uint64_t> sizes_;
};

/// The bytes of the tensor, whose every element lies in a storage of that many bytes (io.265 otherwise).
[[nodiscard]] inline std::size_t checked_bytes(const PickledTensor& tensor, std::size_t storage,
                                               const std::string& where) {
  const auto width = byte_count(tensor.dtype, 1);
  bool sound = tensor.numel >= 0 && tensor.offset >= 0 && tensor.shape.size() == tensor.strides.size() &&
               tensor.shape.size() <= 8 && storage % width == 0 &&
               static_cast<std::size_t>(tensor.numel) == storage / width;
  const bool empty = std::find(tensor.shape.begin(), tensor.shape.end(), 0) != tensor.shape.end();
  Index count = empty ? 0 : 1;
  Index last = tensor.offset;  // the highest element that is read
  for (std::size_t d = 0; sound && d < tensor.shape.size(); ++d) {
    const Index steps = tensor.shape[d] - 1;
    sound = steps >= -1 && tensor.strides[d] >= 0;
    if (sound && !empty) {
      sound = steps < tensor.numel && (steps == 0 || tensor.strides[d] <= (tensor.numel - last) / steps);
      last += sound ? steps * tensor.strides[d] : 0;
      sound = sound && count <= tensor.numel / (steps + 1);
      count *= sound ? steps + 1 : 1;
    }
  }
  if (!sound || (count > 0 && last >= tensor.numel)) {
    fail("io.265",
         "tensor \"" + tensor.name + "\" of shape " + shape_text(tensor.shape) + ", strides " +
             shape_text(tensor.strides) + " and offset " + std::to_string(tensor.offset) +
             " does not fit its storage, which claims " + std::to_string(tensor.numel) + " numbers of " +
             std::to_string(width) + " bytes and has " + std::to_string(storage) + " bytes",
         where);
  }
  return static_cast<std::size_t>(count) * width;
}

/// A checked tensor's elements, the last index running fastest.
[[nodiscard]] inline std::string gathered(const PickledTensor& tensor, const std::string& storage, std::size_t size) {
  const std::size_t width = byte_count(tensor.dtype, 1);
  std::string bytes(size, '\0');
  for (Index i = 0; i < static_cast<Index>(size / width); ++i) {
    Index element = tensor.offset;
    Index rest = i;
    for (std::size_t d = tensor.shape.size(); d > 0; --d) {
      element += rest % tensor.shape[d - 1] * tensor.strides[d - 1];
      rest /= tensor.shape[d - 1];
    }
    std::memcpy(bytes.data() + static_cast<std::size_t>(i) * width,
                storage.data() + static_cast<std::size_t>(element) * width, width);
  }
  return bytes;
}

}  // namespace detail

/// The tensors of a torch.save file, in memory, each contiguous. Tensors only: no code of the file is run, and what needs
/// more than tensors is refused (io.260 to io.265).
[[nodiscard]] inline NamedTensors open_torch_zip(const std::string& path) {
  const detail::ZipMembers members(path);
  std::string stem;
  for (const auto& [name, size] : members.sizes()) {
    const std::size_t slash = name.find('/');
    if (slash != name.npos && std::string_view(name).substr(slash) == "/data.pkl") {
      if (!stem.empty()) {
        fail("io.261", "the zip file holds data.pkl twice", path);
      }
      stem = name.substr(0, slash + 1);
    }
  }
  if (stem.empty()) {
    fail("io.261", "the zip file holds no STEM/data.pkl, so torch.save did not write it", path);
  }
  if (members.sizes().contains(stem + "byteorder") && members.read(stem + "byteorder") != "little") {
    fail("io.261", "the numbers of the file are big-endian, expected little-endian", path);
  }
  const auto memory = std::make_shared<std::list<std::string>>();
  std::map<std::string, std::string> storages;
  std::size_t all = 0;
  std::vector<TensorRef> tensors;
  for (PickledTensor& pickled : read_state_dict(members.read(stem + "data.pkl"), path)) {
    if (!storages.contains(pickled.storage)) {
      storages[pickled.storage] = members.read(stem + "data/" + pickled.storage);
    }
    const std::size_t size = detail::checked_bytes(pickled, storages[pickled.storage].size(), path);
    all += size;
    if (all > members.file_bytes()) {
      fail("io.265", "the tensors share their bytes: together they would be larger than the file", path);
    }
    const std::string& bytes = memory->emplace_back(detail::gathered(pickled, storages[pickled.storage], size));
    tensors.push_back({std::move(pickled.name), pickled.dtype, std::move(pickled.shape),
                       reinterpret_cast<const std::byte*>(bytes.data()), bytes.size(), path});
  }
  return {path, std::move(tensors), memory};
}

/// Writes the tensors so that torch.load(path, weights_only=True) gives an OrderedDict of them in this order: atomically,
/// members stored, storages at multiples of 64, the same bytes for the same tensors (io.202, io.266).
inline void write_torch_zip(const std::string& path, std::span<const TensorRef> tensors) {
  const std::string pickle = write_state_dict(tensors, path);
  detail::ZipError error;
  zip_source_t* out = zip_source_buffer_create(nullptr, 0, 0, error.get());
  const auto check = [&](bool good) {
    if (!good) {
      fail("io.266", "the zip file cannot be made: " + error.text(), path);
    }
  };
  check(out != nullptr);
  const std::unique_ptr<zip_source_t, void (*)(zip_source_t*)> owned(out, &zip_source_free);
  zip_source_keep(out);  // it outlives the archive that is written into it
  detail::ZipArchive zip(zip_open_from_source(out, ZIP_TRUNCATE, error.get()), &zip_discard);
  check(zip != nullptr);

  std::size_t end = 0;  // of what is written before this member
  const auto add = [&](const std::string& name, std::span<const std::byte> bytes) {
    zip_source_t* source = zip_source_buffer(zip.get(), bytes.data(), bytes.size(), 0);
    check(source != nullptr);
    const zip_int64_t index = zip_file_add(zip.get(), name.c_str(), source, ZIP_FL_ENC_UTF_8);
    check(index >= 0);
    const auto i = static_cast<zip_uint64_t>(index);
    // local header 30, name, an extra field of 4 and what brings the data to a multiple of 64
    const std::size_t begin = static_cast<std::size_t>(round_up(static_cast<Index>(end + 30 + name.size() + 4), 64));
    const std::vector<zip_uint8_t> padding(begin - end - 30 - name.size() - 4, 'Z');
    constexpr zip_uint16_t torch_padding = 0x4246;  // "FB"
    check(zip_set_file_compression(zip.get(), i, ZIP_CM_STORE, 0) == 0 &&
          zip_file_set_dostime(zip.get(), i, 0, 0x21, 0) == 0 &&  // 1980: the time of writing is nobody's business
          zip_file_extra_field_set(zip.get(), i, torch_padding, ZIP_EXTRA_FIELD_NEW, padding.data(),
                                   static_cast<zip_uint16_t>(padding.size()), ZIP_FL_LOCAL) == 0);
    end = begin + bytes.size();
  };
  const auto add_text = [&](const std::string& name, const std::string& text) {
    add(name, std::as_bytes(std::span(text)));
  };
  const std::string byte_order = "little";
  const std::string version = "3\n";
  add_text("archive/data.pkl", pickle);
  add_text("archive/byteorder", byte_order);
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    add("archive/data/" + std::to_string(i), {tensors[i].data, tensors[i].bytes});
  }
  add_text("archive/version", version);
  check(zip_close(zip.get()) == 0);
  (void)zip.release();

  zip_stat_t status;
  zip_stat_init(&status);
  check(zip_source_stat(out, &status) == 0 && zip_source_open(out) == 0);
  std::string bytes(static_cast<std::size_t>(status.size), '\0');
  const zip_int64_t size = zip_source_read(out, bytes.data(), bytes.size());
  zip_source_close(out);
  check(size == static_cast<zip_int64_t>(bytes.size()));
  AtomicFile file(path);
  file.write(bytes);
  file.commit();
}

}  // namespace graft::io
