// SPDX-License-Identifier: Apache-2.0
// StudyPlan: how many steps each adapter trains on each task, and what a step costs, found once by dry runs and kept in
// a file.
#pragma once

#include <map>
#include <string>

#include <graft/io/json.hpp>

#include "study.hpp"
#include "study_results.hpp"

namespace graft::program {

/// Of one adapter on one task.
struct PlannedRun {
  Index steps = 0;
  double step_tokens = 0, step_seconds = 0;
  double trainable = 0, peak_bytes = 0;

  [[nodiscard]] double seconds() const { return static_cast<double>(steps) * step_seconds; }
};

class StudyPlan {
 public:
  /// `path` is the file; empty: nothing is kept. `log` gets what the dry runs say.
  StudyPlan(const Study& study, const StudyResults& results, std::string path, std::string log);

  /// Finds it by a dry run, which also checks every word of the adapter against model and data: what it refuses is
  /// train.484. Results that are there decide the steps, so that all seeds train as long, on whatever machine.
  const PlannedRun& of(const StudyTask& task, const StudyAdapter& adapter);

 private:
  PlannedRun measured(const StudyTask& task, const StudyAdapter& adapter);
  [[nodiscard]] Index steps_of_results(const StudyTask& task, const StudyAdapter& adapter) const;

  const Study& study_;
  const StudyResults& results_;
  std::string path_, log_;
  io::Json kept_ = io::Json::object();
  std::map<std::string, PlannedRun> found_;
};

/// The last line of a log that a child of this program ended with, as an error: "train.439: ...".
[[nodiscard]] std::string error_in(const std::string& log, int code);

}  // namespace graft::program
