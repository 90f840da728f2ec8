// SPDX-License-Identifier: Apache-2.0
#include "study_runs.hpp"

#include <unistd.h>  // isatty

#include <algorithm>  // any_of, find
#include <cstdio>
#include <filesystem>
#include <optional>
#include <utility>  // move

#include <graft/io/atomic_file.hpp>
#include <graft/io/path.hpp>

#include "adapter_words.hpp"
#include "checkpoints.hpp"
#include "child.hpp"
#include "commands.hpp"
#include "flags.hpp"
#include "interrupt.hpp"
#include "words.hpp"

namespace graft::program {

namespace {

namespace fs = std::filesystem;

constexpr const char* weights_of_an_adapter = "adapter_model.safetensors";

void end_if_wished() {
  if (interrupted()) {
    throw BrokenOff{};
  }
}

/// The first seed tries all rates, the others take the chosen one.
Index runs_of(const Study& study, const StudyAdapter& adapter) {
  return std::ssize(adapter.rates) + std::ssize(study.seeds) - 1;
}

}  // namespace

bool StudyPart::names(const std::vector<std::string>& list, const std::string& name) {
  return list.empty() || std::find(list.begin(), list.end(), name) != list.end();
}

StudyPart part_of(const Study& study, const std::vector<std::string>& only) {
  std::vector<std::string> known;
  StudyPart part;
  for (const StudyTask& task : study.tasks) {
    known.push_back(task.name);
  }
  for (const StudyAdapter& adapter : study.adapters) {
    known.push_back(adapter.name);
  }
  for (const std::string& name : only) {
    require_known(name, known, "adapter or task", "--only");
    const bool is_task =
        std::any_of(study.tasks.begin(), study.tasks.end(), [&](const StudyTask& task) { return task.name == name; });
    (is_task ? part.tasks : part.adapters).push_back(name);
  }
  return part;
}

StudyRuns::StudyRuns(const Study& study, StudyPart part, StudyResults& results, StudyPlan& plan, std::string out)
    : study_(study), part_(std::move(part)), results_(results), plan_(plan), out_(std::move(out)) {}

template <class Visit>
void StudyRuns::for_each_task(const Visit& visit) const {
  for (const StudyTask& task : study_.tasks) {
    if (part_.holds(task)) {
      visit(task);
    }
  }
}

template <class Visit>
void StudyRuns::for_each(const Visit& visit) const {
  for_each_task([&](const StudyTask& task) {
    for (const StudyAdapter& adapter : study_.adapters) {
      if (part_.holds(adapter)) {
        visit(task, adapter);
      }
    }
  });
}

void StudyRuns::check() {
  for_each([&](const StudyTask& task, const StudyAdapter& adapter) {
    if (left_of(task, adapter) > 0) {
      say("checking", task.name + "  " + adapter.name);
      (void)plan_.of(task, adapter);
      clear();
      end_if_wished();
    }
  });
}

std::string StudyRuns::forecast() {
  std::vector<std::vector<std::string>> table = {
      {"task", "adapter", "runs", "done", "trainable", "steps", "tokens", "a run takes", "peak memory"}};
  for_each([&](const StudyTask& task, const StudyAdapter& adapter) {
    const Index runs = runs_of(study_, adapter), left = left_of(task, adapter);
    std::vector<std::string>& row = table.emplace_back();
    row = {task.name, adapter.name, std::to_string(runs), std::to_string(runs - left)};
    if (left > 0) {
      const PlannedRun& run = plan_.of(task, adapter);
      row.insert(row.end(), {with_commas(static_cast<Index>(run.trainable)), with_commas(run.steps),
                             with_commas(static_cast<Index>(run.step_tokens * static_cast<double>(run.steps))),
                             duration_text(run.seconds()), bytes_text(static_cast<std::size_t>(run.peak_bytes))});
    }
  });
  return columns_text(table, 0) + "about " + duration_text(seconds_left()) + " of training, evaluation aside\n";
}

bool StudyRuns::run() {
  for_each_task([&](const StudyTask& task) { evaluate_base(task); });
  for_each([&](const StudyTask& task, const StudyAdapter& adapter) {
    for (const io::Json& rate : adapter.rates) {
      train({&task, &adapter, rate, study_.seeds.front()}, adapter.rates.size() == 1);
    }
    if (const std::optional<io::Json> rate = results_.chosen_rate(task, adapter)) {
      for (const std::uint64_t seed : study_.seeds) {
        train({&task, &adapter, *rate, seed}, true);
      }
      tidy(task, adapter);
    }
  });
  return !failed_;
}

std::string StudyRuns::folder_of(const StudyRun& run) const {
  return io::join(io::join(out_, "runs"), run.name());
}

// --- what is left -------------------------------------------------------------------------------------------------------

Index StudyRuns::left_of(const StudyTask& task, const StudyAdapter& adapter) const {
  const std::optional<io::Json> chosen = results_.chosen_rate(task, adapter);
  Index left = 0;
  for (const io::Json& rate : adapter.rates) {
    left += results_.is_done({&task, &adapter, rate, study_.seeds.front()}, chosen && rate == *chosen) ? 0 : 1;
  }
  if (left == 0 && !chosen) {
    return 0;  // every rate has failed
  }
  for (std::size_t i = 1; i < study_.seeds.size(); ++i) {
    left += chosen && results_.is_done({&task, &adapter, *chosen, study_.seeds[i]}, true) ? 0 : 1;
  }
  return left;
}

/// By the steps that were measured, and by how far those were off in the runs that are behind.
double StudyRuns::seconds_left() const {
  double left = 0;
  for_each([&](const StudyTask& task, const StudyAdapter& adapter) {
    const Index runs = left_of(task, adapter);
    left += runs > 0 ? static_cast<double>(runs) * plan_.of(task, adapter).seconds() : 0;
  });
  return left * (planned_ > 0 ? spent_ / planned_ : 1);
}

// --- what people see ----------------------------------------------------------------------------------------------------

/// A line that a terminal shows until the next one; nothing elsewhere.
void StudyRuns::say(const std::string& what, const std::string& text) {
  if (::isatty(STDERR_FILENO) == 1) {
    std::fprintf(stderr, "\r\x1b[K%s  %.100s", what.c_str(), text.c_str());
    live_ = true;
  }
}

void StudyRuns::clear() {
  if (live_) {
    std::fputs("\r\x1b[K", stderr);
    live_ = false;
  }
}

void StudyRuns::announce_result(const StudyRun& run) const {
  const io::Json& record = *results_.find(run);
  const io::Json& own = record.at("study");
  std::string text = succeeded(record) ? "" : "FAILED: " + record.at("run_info").at("error_msg").get<std::string>();
  if (own.contains("valid_loss") && own.at("valid_loss").is_number()) {
    text += "valid loss " + fixed(own.at("valid_loss").get<double>(), 4) + "  ";
  }
  if (own.contains("quality")) {
    text += run.task->metric + " " + fixed(own.at("quality").get<double>(), 4);
  }
  std::fprintf(stderr, "  %s: %s\n", run.name().c_str(), text.c_str());
}

// --- processes ----------------------------------------------------------------------------------------------------------

/// A process of this program for a run; its exit code. A terminal sees its last words as they come.
int StudyRuns::child(const StudyRun& run, std::vector<std::string> words, const char* command, const char* output) {
  words.insert(words.begin(), command);
  const std::string folder = folder_of(run);
  fs::create_directories(folder);
  const std::string log = io::join(folder, "output.log");
  auto shown = Clock::now();
  const int code = run_self(words, io::join(folder, output), log, [&] {
    if (Clock::now() - shown > std::chrono::seconds(1)) {
      shown = Clock::now();
      const std::string text = io::read_text(log);
      const std::size_t end = text.find_last_not_of('\n');
      const std::size_t begin = text.rfind('\n', end);
      say("  " + std::string(command), text.substr(begin + 1, end - begin));
    }
  });
  clear();
  end_if_wished();
  return code;
}

/// What graft eval --json says of a run.
io::Json StudyRuns::test(const StudyRun& run, const std::string& adapter) {
  std::vector<std::string> words = eval_line(test_config(study_, *run.task, run.adapter), study_.path).words;
  words.emplace_back("--json");
  if (!adapter.empty()) {
    words.push_back("--adapter=" + adapter);
  }
  if (const int code = child(run, words, "eval", "test.json"); code != exit_success) {
    fail("train.484",
         "the test of the task \"" + run.task->name +
             "\" cannot be run: " + error_in(io::join(folder_of(run), "output.log"), code),
         study_.path);
  }
  const std::string path = io::join(folder_of(run), "test.json");
  return io::parse_json(io::read_text(path), path);
}

void StudyRuns::evaluate_base(const StudyTask& task) {
  const StudyRun run{&task, nullptr, {}, 0};
  if (!results_.is_done(run, true)) {
    results_.keep(run, base_record(study_, run, test(run, "")));
    announce_result(run);
  }
}

/// The skeletons that another selector than finetune's own has chosen: once for all tasks and, where nothing is drawn,
/// for all seeds.
std::string StudyRuns::skeletons_of(const StudyRun& run, const AdapterWords& words) {
  const std::string& selector = run.adapter->selector;
  const bool draws = selector == "random" || selector == "low-norm";
  const std::string folder = io::join(out_, "skeletons");
  fs::create_directories(folder);
  const std::string file =
      io::join(folder, file_name_of(run.adapter->name) + (draws ? "--seed" + std::to_string(run.seed) : ""));
  std::vector<std::string> line = {"--model=" + study_.model, "--selector=" + selector, "--out=" + file,
                                   "--seed=" + std::to_string(draws ? run.seed : 0)};
  for (const char* name : {"rank", "columns", "rows"}) {
    if (const auto found = words.settings.find(name); found != words.settings.end()) {
      line.push_back("--" + std::string(name) + "=" + std::to_string(static_cast<Index>(found->second)));
    }
  }
  if (words.settings.contains("clamp") && words.settings.at("clamp") != 0) {
    line.emplace_back("--clamp-rank");
  }
  if (!words.target.empty()) {
    line.push_back("--target=" + words.target);
  }
  if (!words.layers.empty()) {
    line.push_back("--layers=" + words.layers);
  }
  if (const int code = child(run, line, "select", "select.txt"); code != exit_success) {
    throw Error("train.484", error_in(io::join(folder_of(run), "output.log"), code));
  }
  return file;
}

/// Trains, and tests where that is asked for; what fails is kept as a result.
void StudyRuns::train(const StudyRun& run, bool tested) {
  if (results_.is_done(run, tested)) {
    return;
  }
  end_if_wished();
  const PlannedRun& planned = plan_.of(*run.task, *run.adapter);
  Index left = 0;
  for_each([&](const StudyTask& task, const StudyAdapter& adapter) { left += left_of(task, adapter); });
  const bool is_fresh = !io::exists(io::join(folder_of(run), "log.jsonl"));
  const bool is_trained = !is_fresh && io::exists(io::join(folder_of(run), "run.json"));
  std::fprintf(stderr, "%td to go  %s  %s  %s passed, about %s left\n", left, run.name().c_str(),
               is_trained ? "its test" : (with_commas(planned.steps) + " steps").c_str(),
               duration_text(std::chrono::duration<double>(Clock::now() - begin_).count()).c_str(),
               duration_text(seconds_left()).c_str());
  const auto begin = Clock::now();
  try {
    train_once(run, planned.steps, tested);
    spent_ += is_fresh ? std::chrono::duration<double>(Clock::now() - begin).count() : 0;
    planned_ += is_fresh ? planned.seconds() : 0;
  } catch (const Error& error) {
    results_.keep(run, failed_record(study_, run, error.what()));
    failed_ = true;
  }
  announce_result(run);
}

void StudyRuns::train_once(const StudyRun& run, Index steps, bool tested) {
  const std::string folder = folder_of(run);
  const std::string run_path = io::join(folder, "run.json");
  if (io::exists(run_path) && !io::exists(io::join(folder, weights_of_an_adapter))) {
    fs::remove_all(folder);  // finished, but its adapter was not kept: what is asked of it now needs it once more
  }
  io::Json config = training_config(study_, run);
  config["steps"] = steps;
  config["out"] = folder;
  if (!run.adapter->selector.empty()) {
    config["skeletons"] = skeletons_of(run, adapters_of(finetune_line(config, study_.path).settings).front());
  }
  std::vector<std::string> words = finetune_line(config, study_.path).words;
  words.emplace_back("--resume=auto");
  if (const int code = child(run, words, "finetune", "finetune.txt"); code != exit_success) {
    const std::string said = error_in(io::join(folder, "output.log"), code);
    const std::size_t colon = said.find(": ");  // behind the id of what a finetuning refused
    throw colon == std::string::npos ? Error("train.484", said) : Error(said.substr(0, colon), said.substr(colon + 2));
  }
  const io::Json trained = io::parse_json(io::read_text(run_path), run_path);
  results_.keep(run, run_record(study_, run, trained, tested ? test(run, folder) : io::Json()));
}

/// Takes away what nothing will ask for again: checkpoints, and adapters where they are not kept.
void StudyRuns::tidy(const StudyTask& task, const StudyAdapter& adapter) const {
  for (const std::uint64_t seed : study_.seeds) {
    for (const io::Json& rate : adapter.rates) {
      const std::string folder = folder_of({&task, &adapter, rate, seed});
      Checkpoints(folder, 0).clear();
      if (!study_.keep_adapters) {
        fs::remove(io::join(folder, weights_of_an_adapter));
      }
    }
  }
}

}  // namespace graft::program
