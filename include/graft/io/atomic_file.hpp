// SPDX-License-Identifier: Apache-2.0
// AtomicFile: a file that appears under its final name whole, or not at all.
#pragma once

#include <cerrno>
#include <cstddef>  // byte
#include <cstring>  // strerror
#include <span>
#include <string>
#include <string_view>
#include <utility>  // exchange

#include <fcntl.h>
#include <unistd.h>

#include <graft/base/require.hpp>
#include <graft/io/mapped_file.hpp>

namespace graft::io {

/// Writes beside `path` and renames on commit(); destroyed without commit, it leaves nothing. Failures are io.202.
class AtomicFile {
 public:
  /// Opens a file beside `path`, whose folder must exist.
  explicit AtomicFile(std::string path)
      : path_(std::move(path)), temporary_(path_ + ".partial-" + std::to_string(::getpid())) {
    descriptor_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (descriptor_ < 0) {
      refuse("cannot create the file");
    }
  }
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  ~AtomicFile() {
    if (descriptor_ >= 0) {
      ::close(descriptor_);
    }
    if (!committed_) {
      ::unlink(temporary_.c_str());
    }
  }

  /// Appends; nobody sees the bytes before commit().
  void write(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
      const ssize_t written = ::write(descriptor_, bytes.data(), bytes.size());
      if (written < 0 && errno == EINTR) {
        continue;
      }
      if (written < 0) {
        refuse("cannot write the file");
      }
      bytes = bytes.subspan(static_cast<std::size_t>(written));
    }
  }
  void write(std::string_view text) { write(std::as_bytes(std::span(text))); }  ///< appends

  /// Makes the bytes durable, then gives them their name; an older file of that name is replaced.
  void commit() {
    const bool synced = ::fsync(descriptor_) == 0 || errno == EINVAL;  // EINVAL: nothing to sync there, as on a pipe
    const int closed = synced ? ::close(std::exchange(descriptor_, -1)) : -1;
    if (closed != 0 || ::rename(temporary_.c_str(), path_.c_str()) != 0) {
      refuse("cannot finish the file");
    }
    committed_ = true;
    sync_directory();
  }

 private:
  [[noreturn]] void refuse(const std::string& what) const {
    fail("io.202", what + ": " + std::strerror(errno) + "; nothing was left behind", path_);
  }

  /// Makes the rename durable where the file system can; the file itself is whole either way.
  void sync_directory() const {
    const std::size_t slash = path_.rfind('/');
    const std::string directory = slash == std::string::npos ? "." : path_.substr(0, slash + 1);
    const int descriptor = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor >= 0) {
      ::fsync(descriptor);
      ::close(descriptor);
    }
  }

  std::string path_;
  std::string temporary_;
  int descriptor_ = -1;
  bool committed_ = false;
};

/// Replaces the file by `text`, atomically.
inline void write_text(const std::string& path, std::string_view text) {
  AtomicFile file(path);
  file.write(text);
  file.commit();
}

/// The whole file as a string.
[[nodiscard]] inline std::string read_text(const std::string& path) {
  return std::string(MappedFile(path).text());
}

}  // namespace graft::io
