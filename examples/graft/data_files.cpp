// SPDX-License-Identifier: Apache-2.0
#include "data_files.hpp"

#include <filesystem>
#include <initializer_list>

#include <graft/base/require.hpp>

namespace graft::program {

namespace {

std::string find_in(const std::filesystem::path& folder, std::initializer_list<const char*> names) {
  for (const char* const name : names) {
    for (const char* const ending : {".jsonl", ".json", ".txt"}) {
      const std::filesystem::path file = folder / (std::string(name) + ending);
      if (std::filesystem::is_regular_file(file)) {
        return file.string();
      }
    }
  }
  return {};
}

}  // namespace

DataFiles data_files(const std::string& path) {
  if (!std::filesystem::is_directory(path)) {
    return {path, {}, {}};
  }
  return {find_in(path, {"train"}), find_in(path, {"valid", "validation", "val", "dev"}), find_in(path, {"test"})};
}

std::string training_file(const std::string& path, const DataFiles& files) {
  if (files.train.empty()) {
    fail("train.470", "the folder holds no training data, expected train.jsonl, train.json or train.txt", path);
  }
  return files.train;
}

std::string test_file(const std::string& path, const DataFiles& files) {
  if (files.train == path) {
    return path;
  }
  if (files.test.empty() && files.valid.empty()) {
    fail("train.470", "the folder holds nothing to measure on, expected test or valid, each as .jsonl, .json or .txt",
         path);
  }
  return files.test.empty() ? files.valid : files.test;
}

}  // namespace graft::program
