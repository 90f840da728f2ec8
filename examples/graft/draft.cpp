// SPDX-License-Identifier: Apache-2.0
#include "draft.hpp"

#include <filesystem>
#include <system_error>  // error_code

#include <unistd.h>  // getpid

namespace graft::program {

namespace fs = std::filesystem;

Draft::Draft(std::string out, std::string_view ending) : out_(std::move(out)) {
  while (out_.size() > 1 && out_.ends_with('/')) {
    out_.pop_back();
  }
  const std::string stem = out_.substr(0, out_.size() - ending.size());
  path_ = stem + ".unproved-" + std::to_string(::getpid()) + std::string(ending);
}

Draft::~Draft() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

void Draft::commit() {
  std::error_code error;
  if (fs::is_directory(path_) && fs::is_directory(out_)) {
    for (const auto& entry : fs::directory_iterator(path_)) {
      fs::rename(entry.path(), fs::path(out_) / entry.path().filename(), error);
      if (error) {
        break;
      }
    }
  } else {
    fs::rename(path_, out_, error);
  }
  if (error) {
    fail("io.202", "cannot give the export its name: " + error.message(), out_);
  }
}

std::string Draft::final_names(std::string text) const {
  for (std::size_t at = text.find(path_); at != std::string::npos; at = text.find(path_, at + out_.size())) {
    text.replace(at, path_.size(), out_);
  }
  return text;
}

}  // namespace graft::program
