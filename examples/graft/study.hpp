// SPDX-License-Identifier: Apache-2.0
// Study: what graft compare is asked for: model, tasks, adapters, budget and seeds, from one JSON file, checked before
// anything runs.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <graft/base/index.hpp>
#include <graft/io/json.hpp>

namespace graft::program {

/// How long a run trains.
struct StudyBudget {
  std::string unit;     // "steps", "tokens", "seconds", or "time_of"
  double amount = 0;    // of that unit
  std::string adapter;  // time_of: as long as this one takes for its own budget

  [[nodiscard]] io::Json json() const;
};

/// What adapters are trained for, and what they are judged by. Settings are keys of --config with the flags' own names.
struct StudyTask {
  std::string name;
  io::Json training;  // data, valid or val_split, choices, settings
  io::Json test;      // flags of graft eval
  std::string metric;
  bool chooses_by_validation = false;  // it has something to validate on

  [[nodiscard]] bool lower_is_better() const;
};

struct StudyAdapter {
  std::string name;
  std::string family;           // of the first of its adapters: "lora"
  io::Json training;            // adapter, settings
  std::vector<io::Json> rates;  // one, or several to choose from; a null is the usual one
  StudyBudget budget;
  std::string selector;  // PMSS: of graft select; empty: finetune's own
};

struct Study {
  std::string name;
  std::string path;  // of the file
  std::string model;
  io::Json settings;  // of all runs
  std::vector<StudyTask> tasks;
  std::vector<StudyAdapter> adapters;
  std::vector<std::uint64_t> seeds;
  bool keep_adapters = true;
};

/// Reads a study from the JSON of the file `path`. Paths in it are relative to the current folder, which is to be that
/// of the file, and must be there. An unknown key is train.480, a value that cannot be train.481, a name that is there
/// twice or not at all train.482; keys of settings are train.458 and train.459, adapters train.431 to train.436, tasks
/// of graft eval train.474.
[[nodiscard]] Study read_study(const io::Json& json, const std::string& path);

/// One run of a study.
struct StudyRun {
  const StudyTask* task = nullptr;
  const StudyAdapter* adapter = nullptr;  // none: the untouched model
  io::Json rate;
  std::uint64_t seed = 0;

  /// "answers--LoRA-r4--lr0.002--seed0": of its folder and of its result.
  [[nodiscard]] std::string name() const;
};

/// Letters, digits, dots, underscores and dashes; whatever else a name has becomes a dash.
[[nodiscard]] std::string file_name_of(const std::string& name);
/// Everything that a run's result depends on, but its number of steps.
[[nodiscard]] io::Json definition_of(const Study& study, const StudyRun& run);
/// The settings of `graft finetune` for a run, without --out and --steps.
[[nodiscard]] io::Json training_config(const Study& study, const StudyRun& run);
/// The settings of `graft eval` for a task, without --adapter.
[[nodiscard]] io::Json test_config(const Study& study, const StudyTask& task, const StudyAdapter* adapter);
/// The name among `names` that is `name`, or train.482 with the one that was probably meant.
void require_known(const std::string& name, const std::vector<std::string>& names, const std::string& what,
                   const std::string& path);

}  // namespace graft::program
