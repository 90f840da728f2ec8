// SPDX-License-Identifier: Apache-2.0
#include "study_plan.hpp"

#include <algorithm>  // find_if, max, min
#include <cmath>      // floor
#include <utility>    // move

#include <graft/io/atomic_file.hpp>
#include <graft/io/path.hpp>

#include "child.hpp"
#include "commands.hpp"
#include "flags.hpp"

namespace graft::program {

namespace {

io::Json json_of(const PlannedRun& run) {
  return {{"steps", run.steps},
          {"step_tokens", run.step_tokens},
          {"step_seconds", run.step_seconds},
          {"trainable", run.trainable},
          {"peak_bytes", run.peak_bytes}};
}

/// What an adapter's numbers on a task depend on.
io::Json definition_of_all(const Study& study, const StudyTask& task, const StudyAdapter& adapter) {
  return definition_of(study, {&task, &adapter, adapter.rates.front(), study.seeds.front()});
}

}  // namespace

std::string error_in(const std::string& log, int code) {
  const std::string text = io::exists(log) ? io::read_text(log) : "";
  const std::size_t mark = text.rfind("graft: ");
  if (code > 128 || mark == std::string::npos || (mark > 0 && text[mark - 1] != '\n')) {
    return code > 128 ? "it was killed by signal " + std::to_string(code - 128)
                      : "it ended with " + std::to_string(code) + ", see " + log;
  }
  return text.substr(mark + 7, text.find('\n', mark) - mark - 7);
}

StudyPlan::StudyPlan(const Study& study, const StudyResults& results, std::string path, std::string log)
    : study_(study), results_(results), path_(std::move(path)), log_(std::move(log)) {
  if (!path_.empty() && io::exists(path_)) {
    kept_ = io::parse_json(io::read_text(path_), path_);
  }
}

Index StudyPlan::steps_of_results(const StudyTask& task, const StudyAdapter& adapter) const {
  for (const std::uint64_t seed : study_.seeds) {
    for (const io::Json& rate : adapter.rates) {
      const io::Json* const record = results_.find({&task, &adapter, rate, seed});
      if (record != nullptr && succeeded(*record)) {
        return record->at("run_info").at("train_config").at("max_steps").get<Index>();
      }
    }
  }
  return 0;
}

PlannedRun StudyPlan::measured(const StudyTask& task, const StudyAdapter& adapter) {
  io::Json config = training_config(study_, {&task, &adapter, adapter.rates.front(), study_.seeds.front()});
  const bool fixed = adapter.budget.unit == "steps";
  config["steps"] = fixed ? static_cast<Index>(adapter.budget.amount) : 1;
  std::vector<std::string> words = finetune_line(config, study_.path).words;
  words.insert(words.begin(), "finetune");
  words.insert(words.end(), {"--dry-run", "--json"});
  const std::string output = log_ + ".json";
  const int code = run_self(words, output, log_, [] {});
  if (code != exit_success) {
    fail(
        "train.484",
        "the adapter \"" + adapter.name + "\" on the task \"" + task.name + "\" cannot be run: " + error_in(log_, code),
        study_.path);
  }
  const io::Json found = io::parse_json(io::read_text(output), output);
  const auto number = [&](const char* key) { return io::json_get<double>(found, key, output); };
  PlannedRun run;
  run.step_tokens = number("tokens") / number("steps");
  run.step_seconds = number("seconds") / number("steps");
  run.trainable = number("trainable");
  run.peak_bytes = number("forecast_peak_bytes");
  return run;
}

const PlannedRun& StudyPlan::of(const StudyTask& task, const StudyAdapter& adapter) {
  const std::string name = file_name_of(task.name) + "--" + file_name_of(adapter.name);
  if (const auto found = found_.find(name); found != found_.end()) {
    return found->second;
  }
  const io::Json definition = definition_of_all(study_, task, adapter);
  PlannedRun run;
  if (const auto kept = kept_.find(name); kept != kept_.end() && kept->at("definition") == definition) {
    const auto number = [&](const char* key) { return io::json_get<double>(*kept, key, path_); };
    run = {io::json_get<Index>(*kept, "steps", path_), number("step_tokens"), number("step_seconds"),
           number("trainable"), number("peak_bytes")};
  } else {
    run = measured(task, adapter);
    const StudyBudget& budget = adapter.budget;
    double steps = budget.amount;
    if (budget.unit == "tokens") {
      steps = budget.amount / run.step_tokens;
    } else if (budget.unit == "seconds") {
      steps = budget.amount / run.step_seconds;
    } else if (budget.unit == "time_of") {
      const auto other = std::find_if(study_.adapters.begin(), study_.adapters.end(),
                                      [&](const StudyAdapter& a) { return a.name == budget.adapter; });
      const PlannedRun& theirs = of(task, *other);
      double seconds = run.step_seconds, others = theirs.step_seconds;
      for (int turn = 0; turn < 3; ++turn) {  // in turn, the quickest of each: a machine may be slow for a while
        others = std::min(others, measured(task, *other).step_seconds);
        seconds = std::min(seconds, measured(task, adapter).step_seconds);
      }
      steps = static_cast<double>(theirs.steps) * others / seconds;
    }
    run.steps = std::max<Index>(1, static_cast<Index>(std::floor(steps)));
  }
  if (const Index steps = steps_of_results(task, adapter); steps > 0) {
    run.steps = steps;
  }
  kept_[name] = json_of(run);
  kept_[name]["definition"] = definition;
  if (!path_.empty()) {
    io::write_text(path_, kept_.dump(1) + "\n");
  }
  return found_.emplace(name, run).first->second;
}

}  // namespace graft::program
