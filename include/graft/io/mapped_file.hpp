// SPDX-License-Identifier: Apache-2.0
// MappedFile: a file as read-only memory. Nothing is read until it is touched; its pages are shared and reclaimable.
#pragma once

#include <cerrno>
#include <cstddef>  // byte
#include <cstring>  // strerror
#include <memory>   // shared_ptr
#include <span>
#include <string>
#include <string_view>
#include <utility>  // exchange

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <graft/base/require.hpp>

namespace graft::io {

/// A whole file, mapped while the object lives. Whoever keeps a pointer into bytes() keeps the shared_ptr too.
class MappedFile {
 public:
  /// Maps `path`, or throws io.201 with the system's reason.
  [[nodiscard]] static std::shared_ptr<const MappedFile> open(const std::string& path) {
    return std::make_shared<const MappedFile>(path);
  }

  /// As open(), for a reader that keeps nothing of the file.
  explicit MappedFile(const std::string& path) : path_(path) {
    const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) {
      fail("io.201", std::string("cannot open the file: ") + std::strerror(errno), path);
    }
    const int error = map(descriptor);
    ::close(descriptor);
    if (error != 0) {
      fail("io.201", std::string("cannot map the file: ") + std::strerror(error), path);
    }
  }

  /// What was moved from is an empty file.
  MappedFile(MappedFile&& other) noexcept
      : path_(std::move(other.path_)),
        data_(std::exchange(other.data_, nullptr)),
        size_(std::exchange(other.size_, 0)) {}
  /// The two exchange their mappings.
  MappedFile& operator=(MappedFile&& other) noexcept {
    std::swap(path_, other.path_);
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~MappedFile() {
    if (data_ != nullptr) {
      ::munmap(data_, size_);
    }
  }

  /// The whole file.
  [[nodiscard]] std::span<const std::byte> bytes() const { return {static_cast<const std::byte*>(data_), size_}; }
  /// The same as text.
  [[nodiscard]] std::string_view text() const { return {static_cast<const char*>(data_), size_}; }
  [[nodiscard]] const std::string& path() const { return path_; }  ///< as it was opened

 private:
  /// Maps the open file; returns 0 or the errno. An empty file is an empty span: the system refuses to map nothing.
  int map(int descriptor) {
    struct stat status{};
    if (::fstat(descriptor, &status) != 0) {
      return errno;
    }
    if (S_ISDIR(status.st_mode)) {
      return EISDIR;
    }
    if (status.st_size == 0) {
      return 0;
    }
    void* mapped = ::mmap(nullptr, static_cast<std::size_t>(status.st_size), PROT_READ, MAP_PRIVATE, descriptor, 0);
    if (mapped == MAP_FAILED) {
      return errno;
    }
    data_ = mapped;
    size_ = static_cast<std::size_t>(status.st_size);
    return 0;
  }

  std::string path_;
  void* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace graft::io
