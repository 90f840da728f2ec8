// SPDX-License-Identifier: Apache-2.0
// StudyRuns: the runs of a study and where they stand: which are left, how long they may take, and their training and
// testing, each in a process of its own.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "study.hpp"
#include "study_plan.hpp"
#include "study_results.hpp"

namespace graft::program {

struct AdapterWords;

/// Thrown where a wish to end was heard.
struct BrokenOff {};

/// The part of a study that --only names; all of it where nothing is named.
struct StudyPart {
  std::vector<std::string> adapters, tasks;

  [[nodiscard]] bool holds(const StudyTask& task) const { return names(tasks, task.name); }
  [[nodiscard]] bool holds(const StudyAdapter& adapter) const { return names(adapters, adapter.name); }

 private:
  static bool names(const std::vector<std::string>& list, const std::string& name);
};

/// What --only says (train.482).
[[nodiscard]] StudyPart part_of(const Study& study, const std::vector<std::string>& only);

class StudyRuns {
 public:
  /// All but `part` outlive it. `out` is an absolute path.
  StudyRuns(const Study& study, StudyPart part, StudyResults& results, StudyPlan& plan, std::string out);

  /// Checks every adapter that has runs left on its tasks, before anything is trained (train.484).
  void check();
  /// What would be run, for people.
  [[nodiscard]] std::string forecast();
  /// Runs what is not done. False where some run failed.
  bool run();
  /// Where a run has its folder.
  [[nodiscard]] std::string folder_of(const StudyRun& run) const;

 private:
  using Clock = std::chrono::steady_clock;

  template <class Visit>
  void for_each_task(const Visit& visit) const;
  template <class Visit>
  void for_each(const Visit& visit) const;

  [[nodiscard]] Index left_of(const StudyTask& task, const StudyAdapter& adapter) const;
  [[nodiscard]] double seconds_left() const;

  void say(const std::string& what, const std::string& text);
  void clear();
  void announce_result(const StudyRun& run) const;

  int child(const StudyRun& run, std::vector<std::string> words, const char* command, const char* output);
  io::Json test(const StudyRun& run, const std::string& adapter);
  void evaluate_base(const StudyTask& task);
  std::string skeletons_of(const StudyRun& run, const AdapterWords& words);
  void train(const StudyRun& run, bool tested);
  void train_once(const StudyRun& run, Index steps, bool tested);
  void tidy(const StudyTask& task, const StudyAdapter& adapter) const;

  const Study& study_;
  StudyPart part_;
  StudyResults& results_;
  StudyPlan& plan_;
  std::string out_;
  bool failed_ = false;
  bool live_ = false;
  double spent_ = 0, planned_ = 0;  // of the runs that are behind: seconds, and what was expected
  Clock::time_point begin_ = Clock::now();
};

}  // namespace graft::program
