// SPDX-License-Identifier: Apache-2.0
// path: what lies under a name, and names inside a folder.
#pragma once

#include <string>
#include <string_view>

#include <sys/stat.h>

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

/// `folder`/`name`, with one slash between.
[[nodiscard]] inline std::string join(const std::string& folder, std::string_view name) {
  return folder + (folder.empty() || folder.back() == '/' ? "" : "/") + std::string(name);
}

}  // namespace graft::io
