// SPDX-License-Identifier: Apache-2.0
// Checkpoints: the folders step-000200 of a run, each an adapter that eval and generate read, and all that its trainer
// remembers. A folder counts where that second file is: it is written last, and whole or not at all. Of several processes the
// first alone takes any away.
#pragma once

#include <string>
#include <vector>

#include <graft/base/index.hpp>

namespace graft::program {

class Checkpoints {
 public:
  /// Of the run in `folder`; the last `keep` stay, all where it is 0.
  Checkpoints(std::string folder, Index keep) : folder_(std::move(folder)), keep_(keep) {}

  /// The folder of a step.
  [[nodiscard]] std::string path(Index step) const;
  /// The steps that are whole, rising.
  [[nodiscard]] std::vector<Index> steps() const;
  /// Takes away all but the last ones and `best`.
  void prune(Index best) const;
  /// Takes away what a kill has left half written: folders that do not count, and temporary files in the run's folder.
  void clear_remains() const;
  /// Takes all of them away, for another run in the same folder.
  void clear() const;

 private:
  std::string folder_;
  Index keep_;
};

/// Where a run begins.
struct Resumption {
  std::string checkpoint;  // folder to go on from; empty: from the start
  bool anew = false;       // the folder holds a run without a checkpoint, which begins again
  bool finished = false;   // the folder holds a run that has come to its end
};

/// The folder of the run that --resume FOLDER means: FOLDER, or the run of a checkpoint FOLDER (train.457).
[[nodiscard]] std::string run_of(const std::string& resume);
/// What --resume asks for, where the run's folder is `out`.
[[nodiscard]] Resumption resumption_of(const std::string& resume, const std::string& out);

/// io::file_fingerprint of a data file, or of all files of a folder together.
[[nodiscard]] std::string data_fingerprint(const std::string& path);

}  // namespace graft::program
