// SPDX-License-Identifier: Apache-2.0
// path: what lies under a name, names inside a folder, and folders made.
#pragma once

#include <cerrno>
#include <cstring>  // strerror
#include <string>
#include <string_view>

#include <sys/stat.h>

#include <graft/base/require.hpp>

namespace graft::io {

/// Whether anything lies under that name.
[[nodiscard]] inline bool exists(const std::string& path) {
  struct stat status{};
  return ::stat(path.c_str(), &status) == 0;
}

/// Whether a folder lies under that name.
[[nodiscard]] inline bool is_directory(const std::string& path) {
  struct stat status{};
  return ::stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
}

/// Makes a folder where there is none, in one that exists; true if it was made. Failures are io.202.
inline bool make_folder(const std::string& path) {
  const bool made = ::mkdir(path.c_str(), 0777) == 0;
  if (!made && (errno != EEXIST || !is_directory(path))) {
    fail("io.202", std::string("cannot make the folder: ") + std::strerror(errno), path);
  }
  return made;
}

/// `folder`/`name`, with one slash between.
[[nodiscard]] inline std::string join(const std::string& folder, std::string_view name) {
  return folder + (folder.empty() || folder.back() == '/' ? "" : "/") + std::string(name);
}

}  // namespace graft::io
