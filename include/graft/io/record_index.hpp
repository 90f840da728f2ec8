// SPDX-License-Identifier: Apache-2.0
// RecordIndex: where the records of a data file begin. A record is read from the disk when it is asked for, and so is its place.
#pragma once

#include <algorithm>  // count, min
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>  // strerror
#include <string>
#include <string_view>
#include <utility>  // exchange

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <graft/base/require.hpp>
#include <graft/io/record_scanner.hpp>
#include <graft/io/spilled_list.hpp>

namespace graft::io {

/// The records of a JSONL file, of a JSON list, or of a text (the pieces of a .txt file). The file stays open and must not
/// change; neither its bytes nor the places of its records are ever all in memory.
class RecordIndex {
 public:
  /// Reads the file once; one that cannot be read is io.201, a list that is cut or damaged io.240. A path that ends in .txt
  /// is cut at line ends into pieces of `piece` bytes at most (a longer line: between two characters).
  explicit RecordIndex(const std::string& path, Index piece = 4096) : path_(path), is_text_(path.ends_with(".txt")) {
    descriptor_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    struct stat status{};
    if (descriptor_ < 0 || ::fstat(descriptor_, &status) != 0) {
      refuse(std::strerror(errno));
    }
    if (S_ISDIR(status.st_mode)) {
      refuse(std::strerror(EISDIR));
    }
    if (is_text_) {
      cut_text(piece);
    } else {
      scan();
    }
  }
  RecordIndex(RecordIndex&& other) noexcept
      : path_(std::move(other.path_)),
        begins_(std::move(other.begins_)),
        descriptor_(std::exchange(other.descriptor_, -1)),
        is_text_(other.is_text_),
        is_list_(other.is_list_) {}  ///< what was moved from may only be destroyed
  RecordIndex& operator=(const RecordIndex&) = delete;
  ~RecordIndex() {
    if (descriptor_ >= 0) {
      ::close(descriptor_);
    }
  }

  [[nodiscard]] Index size() const { return begins_.size() - 1; }  ///< records
  [[nodiscard]] const std::string& path() const { return path_; }  ///< as it was opened
  [[nodiscard]] bool is_text() const { return is_text_; }          ///< records are pieces of a text

  /// The bytes of record i, in the memory of `buffer`. Any number of threads may read at once.
  [[nodiscard]] std::string_view read(Index i, std::string& buffer) const {
    std::array<std::uint64_t, 2> ends{};
    begins_.read(i, ends);
    buffer.resize(ends[1] - ends[0]);
    if (read_at(ends[0], buffer.data(), buffer.size()) != buffer.size()) {
      fail("train.472", "the file became shorter while it was read", path_);
    }
    std::string_view text = buffer;
    if (!is_text_) {
      trim_end(text);
      if (is_list_ && text.ends_with(',')) {
        text.remove_suffix(1);
        trim_end(text);
      }
    }
    return text;
  }
  /// The line where record i begins, counted when it is asked for, for errors.
  [[nodiscard]] Index line(Index i) const {
    Index lines = 1;
    const std::uint64_t begin = begins_[i];
    each_piece([&](std::uint64_t at, std::string_view piece) {
      const std::string_view before = piece.substr(0, begin > at ? std::min<std::size_t>(piece.size(), begin - at) : 0);
      lines += std::count(before.begin(), before.end(), '\n');
    });
    return lines;
  }

 private:
  static constexpr std::size_t chunk = std::size_t{1} << 20;

  static void trim_end(std::string_view& text) {
    const std::size_t last = text.find_last_not_of(json_blanks);
    text = text.substr(0, last == std::string_view::npos ? 0 : last + 1);
  }
  [[noreturn]] void refuse(const std::string& why) {
    if (descriptor_ >= 0) {
      ::close(descriptor_);
    }
    fail("io.201", "cannot open the file: " + why, path_);
  }
  std::size_t read_at(std::uint64_t offset, char* to, std::size_t bytes) const {
    std::size_t done = 0;
    while (done < bytes) {
      const ssize_t count = ::pread(descriptor_, to + done, bytes - done, static_cast<off_t>(offset + done));
      if (count < 0 && errno == EINTR) {
        continue;
      }
      if (count < 0) {
        fail("io.201", std::string("cannot read the file: ") + std::strerror(errno), path_);
      }
      if (count == 0) {
        break;
      }
      done += static_cast<std::size_t>(count);
    }
    return done;
  }
  /// Calls visit(offset, bytes) for the file, chunk by chunk.
  template <class Visit>
  void each_piece(Visit&& visit) const {
    std::string buffer(chunk, '\0');
    std::uint64_t at = 0;
    for (std::size_t count = chunk; count == chunk; at += count) {
      count = read_at(at, buffer.data(), chunk);
      visit(at, std::string_view(buffer.data(), count));
    }
  }
  void scan() {
    RecordScanner scanner;
    std::uint64_t end = 0;
    const auto keep = [&](const RecordScanner::Found& found) {
      begins_.push_back(static_cast<std::uint64_t>(found.begin));
      end = static_cast<std::uint64_t>(found.end);
    };
    each_piece([&](std::uint64_t, std::string_view piece) { scanner.push(piece, path_, keep); });
    scanner.finish_file(path_, keep);
    begins_.push_back(end);
    is_list_ = scanner.is_list();
  }
  /// A piece ends behind the last newline that fits, or, where none does, before the character that does not.
  void cut_text(Index piece) {
    require(piece >= 4, "train.473", "RecordIndex: a piece of text has room for a character of four bytes");
    const auto room = static_cast<std::size_t>(piece);
    std::uint64_t begin = 0;
    std::string buffer(room, '\0');
    for (;;) {
      std::string_view text(buffer.data(), read_at(begin, buffer.data(), room));
      if (text.empty()) {
        break;
      }
      begins_.push_back(begin);
      if (text.size() == room) {
        if (const std::size_t newline = text.rfind('\n'); newline != std::string_view::npos) {
          text = text.substr(0, newline + 1);
        } else {
          std::size_t last = text.size() - 1;  // the first byte of the last character, which may go on
          while (last > 0 && (static_cast<unsigned char>(text[last]) & 0xC0u) == 0x80u) {
            --last;
          }
          text = last > 0 ? text.substr(0, last) : text;
        }
      }
      begin += text.size();
    }
    begins_.push_back(begin);
  }

  std::string path_;
  SpilledList<std::uint64_t> begins_;  // and where the last ends
  int descriptor_ = -1;
  bool is_text_ = false;
  bool is_list_ = false;
};

}  // namespace graft::io
