// SPDX-License-Identifier: Apache-2.0
// RunFolder: the folder that a finetuning run fills: log.jsonl as it goes, the adapter, run.json and loss.svg at the end. Of several
// processes the first alone touches it.
#pragma once

#include <cstdio>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <graft/base/index.hpp>
#include <graft/io/json.hpp>

namespace graft::program {

/// Refuses a name that is taken: a file, or a folder with a run, an adapter or a model in it unless `overwrite` (train.437).
/// With an `ending` the name is that of a file, and a folder is refused.
void refuse_taken(const std::string& path, bool overwrite, std::string_view ending = "");

class RunFolder {
 public:
  /// Refuses a name that is taken. Nothing is written yet.
  RunFolder(std::string path, bool overwrite);

  /// Makes the folder and opens the log.
  void create();
  /// Opens the log of a run that goes on, with what it holds of the steps before `step`, which are returned; later ones go.
  /// Another process than the first gets none.
  std::vector<io::Json> reopen(Index step);
  /// Appends a record to log.jsonl; it is on its way to the disk when this returns.
  void log(const io::Json& record);
  /// Waits until the log is on the disk.
  void sync();
  /// Writes a file under its final name, whole.
  void write(const std::string& name, const std::string& text) const;
  /// The path of something in the folder, or of the folder itself.
  [[nodiscard]] std::string path(const std::string& name = "") const;

 private:
  void open_log(const char* mode);

  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  std::string path_;
  std::unique_ptr<std::FILE, Close> log_;
};

}  // namespace graft::program
