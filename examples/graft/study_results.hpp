// SPDX-License-Identifier: Apache-2.0
// StudyResults: a folder with one small JSON for each finished run of a study, in the shape of PEFT's method
// comparison, so that machines and sessions can add to it and PEFT's own programs read it.
#pragma once

#include <map>
#include <optional>
#include <string>

#include <graft/io/json.hpp>

#include "study.hpp"

namespace graft::program {

/// {run_info, train_info, meta_info} as PEFT writes them, and `study` with what the tables are made of: name, task,
/// adapter, family, rate, seed, metric, quality (absent where the run was not tested), valid_loss, steps, tokens,
/// step_seconds, definition.
[[nodiscard]] io::Json base_record(const Study& study, const StudyRun& run, const io::Json& test);
/// `run_json` is run.json of finetune; `test` what graft eval said, null for a run that is not tested.
[[nodiscard]] io::Json run_record(const Study& study, const StudyRun& run, const io::Json& run_json,
                                  const io::Json& test);
[[nodiscard]] io::Json failed_record(const Study& study, const StudyRun& run, const std::string& error);

class StudyResults {
 public:
  /// Reads what is there of the study; a result of another definition is train.483.
  StudyResults(const Study& study, std::string folder);

  /// The record of a run; nothing where there is none.
  [[nodiscard]] const io::Json* find(const StudyRun& run) const;
  /// Whether nothing is left to do: it succeeded and was tested where that is asked, or failed as it would again.
  [[nodiscard]] bool is_done(const StudyRun& run, bool tested) const;
  /// Keeps a record, on the disk too.
  void keep(const StudyRun& run, io::Json record);
  /// All records, by the names of their runs.
  [[nodiscard]] const std::map<std::string, io::Json>& all() const { return records_; }

  /// The rate of an adapter on a task: the only one, or that of the lowest validation loss of the first seed once all
  /// of them have been tried there. Nothing before, or where all failed.
  [[nodiscard]] std::optional<io::Json> chosen_rate(const StudyTask& task, const StudyAdapter& adapter) const;

 private:
  const Study& study_;
  std::string folder_;
  std::map<std::string, io::Json> records_;
};

/// Whether a record is of a run that succeeded.
[[nodiscard]] bool succeeded(const io::Json& record);
/// The number of a metric in what graft eval --json said; a metric that it lacks is train.481.
[[nodiscard]] double metric_in(const io::Json& test, const std::string& metric, const std::string& where);

}  // namespace graft::program
