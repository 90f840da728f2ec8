// SPDX-License-Identifier: Apache-2.0
// The files that --data names: one file, or a folder with the files of training, validation and test.
#pragma once

#include <string>

namespace graft::program {

/// Paths; empty where there is none.
struct DataFiles {
  std::string train, valid, test;
};

/// A file is all that there is: it stands in `train`. In a folder, train, valid (or validation, val, dev) and test are looked
/// for, each as .jsonl, .json or .txt.
[[nodiscard]] DataFiles data_files(const std::string& path);

/// The file to train on; a folder without one is train.470.
[[nodiscard]] std::string training_file(const std::string& path, const DataFiles& files);
/// The file to measure on: test, else valid, else the file that was named; a folder with none of them is train.470.
[[nodiscard]] std::string test_file(const std::string& path, const DataFiles& files);

}  // namespace graft::program
