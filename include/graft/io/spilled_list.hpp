// SPDX-License-Identifier: Apache-2.0
// SpilledList: a list of numbers as long as the disk is large: its end is in memory, all that stands before it in a
// temporary file without a name.
#pragma once

#include <algorithm>  // max, min
#include <cerrno>
#include <cstdlib>  // getenv, mkostemp
#include <cstring>  // strerror
#include <initializer_list>
#include <span>
#include <string>
#include <type_traits>  // is_trivially_copyable_v
#include <utility>      // move, swap
#include <vector>

#include <fcntl.h>
#include <unistd.h>

#include <graft/base/index.hpp>
#include <graft/base/require.hpp>
#include <graft/io/path.hpp>

namespace graft::io {

/// A list that grows at its end and takes the memory of `block` entries at most; a shorter one never sees the disk. The file
/// lies in the folder that TMPDIR names, else in /tmp, and goes with the process, however it ends. A file that cannot be
/// made, written or read is io.203. Any number of threads may read at once.
template <class T>
requires std::is_trivially_copyable_v<T>
class SpilledList {
 public:
  static constexpr Index block = 65536;  ///< entries that go to the disk together

  SpilledList() = default;
  /// A list of these.
  SpilledList(std::initializer_list<T> values) {
    for (const T& value : values) {
      push_back(value);
    }
  }
  /// What was moved from is empty.
  SpilledList(SpilledList&& other) noexcept { swap_with(other); }
  /// The two exchange their entries.
  SpilledList& operator=(SpilledList&& other) noexcept {
    swap_with(other);
    return *this;
  }
  ~SpilledList() {
    if (descriptor_ >= 0) {
      ::close(descriptor_);
    }
  }

  [[nodiscard]] Index size() const { return spilled_ + std::ssize(end_); }  ///< entries

  /// Appends one.
  void push_back(T value) {
    if (std::ssize(end_) == block) {
      spill();
    }
    end_.push_back(value);
  }
  [[nodiscard]] T operator[](Index i) const {  ///< entry i
    T value;
    read(i, {&value, 1});
    return value;
  }
  /// Entries first, first + 1, ... into all of `to`.
  void read(Index first, std::span<T> to) const {
    const Index on_disk = std::min(std::max<Index>(spilled_ - first, 0), std::ssize(to));
    for (std::size_t done = 0; done < static_cast<std::size_t>(on_disk) * sizeof(T);) {
      char* const at = reinterpret_cast<char*>(to.data()) + done;
      done += advance(
          ::pread(descriptor_, at, static_cast<std::size_t>(on_disk) * sizeof(T) - done, place(first, done)), "read");
    }
    for (Index i = on_disk; i < std::ssize(to); ++i) {
      to[static_cast<std::size_t>(i)] = end_[static_cast<std::size_t>(first + i - spilled_)];
    }
  }
  /// The same as a list in memory; the end of this one may cut it short.
  [[nodiscard]] std::vector<T> slice(Index first, Index count) const {
    std::vector<T> values(static_cast<std::size_t>(std::min(count, size() - first)));
    read(first, values);
    return values;
  }
  /// Calls visit(entry) for all of them, in order.
  template <class Visit>
  void for_each(Visit&& visit) const {
    constexpr Index part = 4096;
    for (Index first = 0; first < size(); first += part) {
      for (const T& value : slice(first, part)) {
        visit(value);
      }
    }
  }
  /// Puts another entry in place i.
  void set(Index i, T value) {
    if (i < spilled_) {
      write(i, {&value, 1});
    } else {
      end_[static_cast<std::size_t>(i - spilled_)] = value;
    }
  }
  /// Exchanges two entries.
  void swap(Index i, Index j) {
    const T value = (*this)[i];
    set(i, (*this)[j]);
    set(j, value);
  }

 private:
  void swap_with(SpilledList& other) noexcept {
    std::swap(end_, other.end_);
    std::swap(spilled_, other.spilled_);
    std::swap(descriptor_, other.descriptor_);
  }
  [[nodiscard]] static std::string folder() {
    const char* const named = std::getenv("TMPDIR");
    return named != nullptr && *named != '\0' ? named : "/tmp";
  }
  [[noreturn]] static void refuse(const char* what, int error) {
    fail("io.203",
         std::string("cannot ") + what + " a temporary file in this folder: " + std::strerror(error) +
             "; make room there, or name another folder with TMPDIR",
         folder());
  }
  [[nodiscard]] static off_t place(Index i, std::size_t bytes) {
    return static_cast<off_t>(static_cast<std::size_t>(i) * sizeof(T) + bytes);
  }
  /// What a call of the system has done, in bytes; nothing where a signal broke it off.
  [[nodiscard]] static std::size_t advance(ssize_t count, const char* what) {
    if (count == 0 || (count < 0 && errno != EINTR)) {
      refuse(what, count == 0 ? EIO : errno);
    }
    return static_cast<std::size_t>(std::max<ssize_t>(count, 0));
  }
  void write(Index first, std::span<const T> values) {
    for (std::size_t done = 0; done < values.size_bytes();) {
      const char* const at = reinterpret_cast<const char*>(values.data()) + done;
      done += advance(::pwrite(descriptor_, at, values.size_bytes() - done, place(first, done)), "write");
    }
  }
  void spill() {
    if (descriptor_ < 0) {
      std::string name = join(folder(), "graft-XXXXXX");
      descriptor_ = ::mkostemp(name.data(), O_CLOEXEC);
      if (descriptor_ < 0) {
        refuse("make", errno);
      }
      ::unlink(name.c_str());
    }
    write(spilled_, end_);
    spilled_ += std::ssize(end_);
    end_.clear();
  }

  std::vector<T> end_;  // behind those on the disk
  Index spilled_ = 0;
  int descriptor_ = -1;
};

}  // namespace graft::io
