// SPDX-License-Identifier: Apache-2.0
#include "study.hpp"

#include <algorithm>  // any_of, find
#include <cctype>
#include <cmath>  // floor
#include <initializer_list>
#include <set>

#include <graft/io/nearest.hpp>
#include <graft/io/path.hpp>

#include "adapter_words.hpp"
#include "flags.hpp"
#include "run_settings.hpp"
#include "selection.hpp"
#include "tasks.hpp"
#include "words.hpp"

namespace graft::program {

namespace {

/// What the study itself says, which no settings may say.
constexpr const char* keys_of_the_study[] = {"model",   "data",      "valid",  "val-split",   "choices", "adapter",
                                             "seed",    "steps",     "epochs", "out",         "resume",  "auto-resume",
                                             "dry-run", "overwrite", "json",   "init-adapter"};
/// What training and test must have in common.
constexpr const char* keys_of_both[] = {"model",    "tokenizer",   "chat-template", "dtype",       "device", "threads",
                                        "train-on", "max-seq-len", "no-eos",        "batch-size"};

const std::string& itself(const std::string& name) {
  return name;
}

[[noreturn]] void refuse(const std::string& what, const std::string& path) {
  fail("train.481", what, path);
}

void check_keys(const io::Json& object, const std::string& what, std::initializer_list<const char*> known,
                const std::string& path) {
  if (!object.is_object()) {
    refuse(what + " is " + object.dump().substr(0, 60) + ", expected an object", path);
  }
  const std::vector<std::string> names(known.begin(), known.end());
  for (const auto& [key, value] : object.items()) {
    if (std::find(names.begin(), names.end(), key) == names.end()) {
      fail("train.480",
           "the key \"" + key + "\" of " + what + " is unknown; did you mean \"" +
               io::nearest_name(key, names, itself) + "\"?",
           path);
    }
  }
}

/// The list under a key, which must have members.
io::Json list_of(const io::Json& json, const char* key, const std::string& path) {
  const auto list = io::json_get<io::Json>(json, key, path);
  if (!list.is_array() || list.empty()) {
    refuse(
        "\"" + std::string(key) + "\" is " + list.dump().substr(0, 60) + ", expected a list with at least one member",
        path);
  }
  return list;
}

void require_file(const std::string& file, const std::string& what, const std::string& path) {
  if (!io::exists(file)) {
    refuse(what + " names \"" + file + "\", which is not there (paths are relative to the folder of the study)", path);
  }
}

/// Flags and their values as a configuration under their own names.
io::Json canonical(const std::map<std::string, std::vector<std::string>>& words) {
  io::Json config = io::Json::object();
  for (const auto& [flag, values] : words) {
    config[flag] = values.size() == 1 ? io::Json(values.front()) : io::Json(values);
  }
  return config;
}

/// The settings under "settings" of `json`, under the flags' own names.
io::Json settings_in(const io::Json& json, const std::string& what, const std::string& path) {
  const auto settings = io::json_get_or(json, "settings", io::Json::object(), path);
  if (!settings.is_object()) {
    refuse("the settings of " + what + " are " + settings.dump().substr(0, 60) + ", expected an object", path);
  }
  const ConfigLine<FinetuneSettings> line = finetune_line(settings, path);
  for (const std::string& word : line.words) {
    const std::string flag = word.substr(2, word.find('=') - 2);
    if (std::any_of(std::begin(keys_of_the_study), std::end(keys_of_the_study),
                    [&](const char* key) { return flag == key; })) {
      refuse("the settings of " + what + " hold --" + flag + ", which the study says in its own place", path);
    }
  }
  return canonical(line.given);
}

/// `over` laid over `under`.
io::Json laid_over(io::Json under, const io::Json& over) {
  under.update(over);
  return under;
}

StudyBudget budget_in(const io::Json& json, const std::string& what, const std::string& path) {
  check_keys(json, "the budget of " + what, {"steps", "tokens", "seconds", "time_of"}, path);
  if (json.size() != 1) {
    refuse("the budget of " + what + " is " + json.dump() + ", expected one of steps, tokens, seconds and time_of",
           path);
  }
  StudyBudget budget;
  budget.unit = json.begin().key();
  if (budget.unit == "time_of") {
    budget.adapter = io::json_get<std::string>(json, "time_of", path);
    return budget;
  }
  budget.amount = io::json_get<double>(json, budget.unit, path);
  if (!(budget.amount > 0) || (budget.unit == "steps" && budget.amount != std::floor(budget.amount))) {
    refuse("the budget of " + what + " is " + json.dump() + ", expected more than 0", path);
  }
  return budget;
}

/// The metric that a task is judged by, where its test does not name one.
std::string metric_of(const EvalSettings& test) {
  if (test.task.empty()) {
    return test.choices.empty() ? "loss" : "accuracy";
  }
  const std::string_view metrics = task_named(test.task).metrics;
  return std::string(metrics.substr(0, metrics.find(',')));
}

StudyTask task_in(const io::Json& json, const std::string& path) {
  check_keys(json, "a task", {"name", "data", "valid", "val_split", "choices", "test", "settings"}, path);
  StudyTask task;
  task.name = io::json_get<std::string>(json, "name", path);
  const std::string what = "the task \"" + task.name + "\"";
  task.training = settings_in(json, what, path);
  io::Json given = io::Json::object();
  for (const char* key : {"data", "valid", "val_split", "choices"}) {
    const bool asks_nothing = key == std::string_view("choices") && !json.contains("valid");
    if (json.contains(key) && !asks_nothing) {
      given[key] = json.at(key);
    }
  }
  task.training.update(canonical(finetune_line(given, path).given));
  require_file(io::json_get<std::string>(json, "data", path), what, path);
  if (json.contains("valid")) {
    require_file(io::json_get<std::string>(json, "valid", path), what, path);
  }
  task.chooses_by_validation = json.contains("valid") || json.contains("val_split");

  auto test = io::json_get<io::Json>(json, "test", path);
  if (test.is_string()) {
    test = {{"data", test}};
  }
  if (!test.is_object()) {
    refuse("the test of " + what + " is " + test.dump().substr(0, 60) +
               ", expected a file, or an object with flags of graft eval",
           path);
  }
  task.metric = io::json_get_or<std::string>(test, "metric", "", path);
  test.erase("metric");
  if (json.contains("choices") && !test.contains("task") && !test.contains("choices")) {
    test["choices"] = json.at("choices");
  }
  const ConfigLine<EvalSettings> line = eval_line(test, path);
  const EvalSettings& asked = line.settings;
  if (asked.data.data.empty() || !asked.adapter.empty() || !asked.model.model.empty() || !asked.logits.empty()) {
    refuse("the test of " + what + " is " + test.dump() + ", expected its data, and no model, adapter or logits", path);
  }
  require_file(asked.data.data, "the test of " + what, path);
  const std::string usual = metric_of(asked);  // names the task, too
  task.metric = task.metric.empty() ? usual : task.metric;
  task.test = canonical(line.given);
  return task;
}

StudyAdapter adapter_in(const io::Json& json, const StudyBudget& common, const std::string& path) {
  check_keys(json, "an adapter", {"name", "adapter", "lr", "budget", "selector", "settings"}, path);
  StudyAdapter adapter;
  adapter.name = io::json_get<std::string>(json, "name", path);
  const std::string what = "the adapter \"" + adapter.name + "\"";
  adapter.training = settings_in(json, what, path);
  const ConfigLine<FinetuneSettings> line =
      finetune_line({{"adapter", io::json_get<io::Json>(json, "adapter", path)}}, path);
  adapter.training.update(canonical(line.given));
  adapter.family = std::string(kind_named(adapters_of(line.settings).front().name).name);
  adapter.selector = io::json_get_or<std::string>(json, "selector", "", path);
  if (!adapter.selector.empty()) {
    require_known(adapter.selector, {std::begin(selector_names), std::end(selector_names)}, "selector", path);
    if (adapters_of(line.settings).size() > 1 || adapter.family != "pmss") {
      refuse(what + " has a selector, which has a meaning for pmss alone", path);
    }
  }
  const auto lr = io::json_get_or(json, "lr", io::Json(), path);
  for (const io::Json& rate : lr.is_array() ? lr : io::Json::array({lr})) {
    if (!rate.is_null() && (!rate.is_number() || !(rate.get<double>() > 0))) {
      refuse("\"lr\" of " + what + " is " + lr.dump() + ", expected a number above 0, or a list to choose from", path);
    }
    adapter.rates.push_back(rate);
  }
  if (adapter.rates.empty()) {
    refuse("\"lr\" of " + what + " is an empty list", path);
  }
  adapter.budget = json.contains("budget") ? budget_in(json.at("budget"), what, path) : common;
  return adapter;
}

/// Names that are there once, as files too, and what names another.
void check_names(const Study& study) {
  const auto once = [&](const auto& list, const std::string& what) {
    std::set<std::string> names;
    for (const auto& one : list) {
      if (one.name.empty() || !names.insert(file_name_of(one.name)).second || one.name == "none") {
        fail("train.482",
             what + " is named \"" + one.name + "\", expected a name of its own (\"none\" is the untouched model)",
             study.path);
      }
    }
  };
  once(study.tasks, "a task");
  once(study.adapters, "an adapter");
  std::vector<std::string> names;
  for (const StudyAdapter& adapter : study.adapters) {
    names.push_back(adapter.name);
  }
  for (const StudyAdapter& adapter : study.adapters) {
    if (adapter.budget.unit == "time_of") {
      require_known(adapter.budget.adapter, names, "adapter", study.path);
      const auto other = std::find_if(study.adapters.begin(), study.adapters.end(),
                                      [&](const StudyAdapter& a) { return a.name == adapter.budget.adapter; });
      if (other->budget.unit == "time_of") {
        refuse("the budget of \"" + adapter.name + "\" is the time of \"" + other->name +
                   "\", whose own is that of another: expected one with steps, tokens or seconds",
               study.path);
      }
    }
  }
}

}  // namespace

io::Json StudyBudget::json() const {
  return {{unit, unit == "time_of" ? io::Json(adapter) : io::Json(amount)}};
}

bool StudyTask::lower_is_better() const {
  const auto says = [&](const char* word) { return metric.find(word) != std::string::npos; };
  return says("loss") || says("perplexity") || says("bits");
}

std::string file_name_of(const std::string& name) {
  std::string safe;
  for (const char c : name) {
    const bool good = std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '.' || c == '_';
    if (good || (!safe.empty() && safe.back() != '-')) {
      safe += good ? c : '-';
    }
  }
  return safe;
}

std::string StudyRun::name() const {
  const std::string of = file_name_of(task->name) + "--";
  return adapter == nullptr
             ? of + "none"
             : of + file_name_of(adapter->name) + (rate.is_null() ? "" : "--lr" + significant(rate.get<double>(), 6)) +
                   "--seed" + std::to_string(seed);
}

io::Json training_config(const Study& study, const StudyRun& run) {
  io::Json config = laid_over(laid_over(study.settings, run.task->training), run.adapter->training);
  config["model"] = study.model;
  config["seed"] = run.seed;
  if (!run.rate.is_null()) {
    config["lr"] = run.rate;
  }
  return config;
}

io::Json test_config(const Study& study, const StudyTask& task, const StudyAdapter* adapter) {
  io::Json training = laid_over(study.settings, task.training);
  if (adapter != nullptr) {
    training.update(adapter->training);
  }
  training["model"] = study.model;
  io::Json config = io::Json::object();
  for (const char* key : keys_of_both) {
    if (training.contains(key)) {
      config[key] = training.at(key);
    }
  }
  return laid_over(std::move(config), task.test);
}

io::Json definition_of(const Study& study, const StudyRun& run) {
  io::Json definition = {{"test", test_config(study, *run.task, run.adapter)}, {"metric", run.task->metric}};
  if (run.adapter != nullptr) {
    definition["training"] = training_config(study, run);
    definition["budget"] = run.adapter->budget.json();
    definition["selector"] = run.adapter->selector;
  }
  return definition;
}

void require_known(const std::string& name, const std::vector<std::string>& names, const std::string& what,
                   const std::string& path) {
  if (std::find(names.begin(), names.end(), name) == names.end()) {
    fail("train.482",
         "there is no " + what + " \"" + name + "\"; did you mean \"" + io::nearest_name(name, names, itself) + "\"?",
         path);
  }
}

Study read_study(const io::Json& json, const std::string& path) {
  check_keys(json, "the study", {"name", "model", "tasks", "budget", "settings", "adapters", "seeds", "keep_adapters"},
             path);
  Study study;
  study.path = path;
  study.name = io::json_get<std::string>(json, "name", path);
  study.model = io::json_get<std::string>(json, "model", path);
  require_file(study.model, "\"model\"", path);
  study.settings = settings_in(json, "the study", path);
  study.keep_adapters = io::json_get_or(json, "keep_adapters", true, path);
  for (const io::Json& task : list_of(json, "tasks", path)) {
    study.tasks.push_back(task_in(task, path));
  }
  const StudyBudget budget = budget_in(io::json_get<io::Json>(json, "budget", path), "the study", path);
  if (budget.unit == "time_of") {
    refuse("the budget of the study is the time of an adapter, expected steps, tokens or seconds", path);
  }
  for (const io::Json& adapter : list_of(json, "adapters", path)) {
    study.adapters.push_back(adapter_in(adapter, budget, path));
  }
  study.seeds = io::json_as<std::vector<std::uint64_t>>(list_of(json, "seeds", path), "seeds", path);
  if (std::set<std::uint64_t>(study.seeds.begin(), study.seeds.end()).size() != study.seeds.size()) {
    refuse("a seed stands in \"seeds\" twice", path);
  }
  check_names(study);
  for (const StudyTask& task : study.tasks) {
    for (const StudyAdapter& adapter : study.adapters) {
      if (adapter.rates.size() > 1 && !task.chooses_by_validation) {
        refuse("the adapter \"" + adapter.name + "\" has rates to choose from, for which the task \"" + task.name +
                   "\" needs \"valid\" or \"val_split\"",
               path);
      }
      check_settings(finetune_line(training_config(study, {&task, &adapter, adapter.rates.front(), 0}), path).settings);
    }
  }
  return study;
}

}  // namespace graft::program
