// SPDX-License-Identifier: Apache-2.0
#include "study_results.hpp"

#include <algorithm>  // transform
#include <array>
#include <cctype>
#include <ctime>
#include <filesystem>
#include <utility>  // move

#include <graft/io/atomic_file.hpp>
#include <graft/io/path.hpp>
#include <graft/version.hpp>

#include "machine.hpp"

namespace graft::program {

namespace {

std::string now_text() {
  const std::time_t now = std::time(nullptr);
  std::array<char, 40> text{};
  std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%S+00:00", std::gmtime(&now));
  return text.data();
}

/// What a run without results says of itself; the others fill in theirs.
io::Json blank_record(const Study& study, const StudyRun& run) {
  const bool base = run.adapter == nullptr;
  std::string type = base ? "none" : run.adapter->family;
  std::transform(type.begin(), type.end(), type.begin(), [](unsigned char c) { return std::toupper(c); });
  const std::string name = base ? "none" : run.adapter->name + "/seed" + std::to_string(run.seed);
  return {{"run_info",
           {{"created_at", now_text()},
            {"total_time", 0.0},
            {"experiment_name", run.task->name + "/" + name},
            {"peft_branch", "graft"},
            {"train_config", {{"model_id", study.model}}},
            {"peft_config", type == "FULL" ? io::Json() : io::Json{{"peft_type", type}}},
            {"error_msg", ""}}},
          {"train_info",
           {{"accelerator_memory_reserved_avg", 0},
            {"accelerator_memory_max", 0},
            {"accelerator_memory_reserved_99th", 0},
            {"train_time", 0.0},
            {"file_size", 0},
            {"num_trainable_params", 0},
            {"num_total_params", 0},
            {"status", "success"},
            {"metrics", io::Json::array()}}},
          {"meta_info",
           {{"model_info", {{"sha", nullptr}, {"created_at", nullptr}}},
            {"dataset_info", io::Json::object()},
            {"package_info",
             {{"graft-version", std::to_string(GRAFT_VERSION_MAJOR) + "." + std::to_string(GRAFT_VERSION_MINOR) + "." +
                                    std::to_string(GRAFT_VERSION_PATCH)},
              {"peft-version", nullptr},
              {"transformers-version", nullptr},
              {"datasets-version", nullptr},
              {"torch-version", nullptr},
              {"bitsandbytes-version", nullptr}}},
            {"system_info", machine_json()},
            {"pytorch_info", ""}}},
          {"study",
           {{"name", study.name},
            {"task", run.task->name},
            {"adapter", base ? "none" : run.adapter->name},
            {"family", base ? "none" : run.adapter->family},
            {"rate", run.rate},
            {"seed", run.seed},
            {"metric", run.task->metric},
            {"definition", definition_of(study, run)}}}};
}

/// The last of PEFT's metrics: what the test came to, as "test accuracy" where it is a share.
io::Json last_metric(const StudyTask& task, const io::Json& test) {
  io::Json last = {
      {"test accuracy", nullptr}, {"train loss", nullptr}, {"train samples", 0}, {"train total tokens", 0}};
  if (!test.is_null()) {
    const double value = metric_in(test, task.metric, task.name);
    last["test " + task.metric] = value;
    if (!task.lower_is_better()) {
      last["test accuracy"] = value;
    }
  }
  return last;
}

void add_quality(io::Json& record, const StudyTask& task, const io::Json& test) {
  if (!test.is_null()) {
    record["study"]["quality"] = metric_in(test, task.metric, task.name);
    record["study"]["test"] = test;
  }
}

/// What differs first between two definitions: "training.batch-size is 8, there 16".
std::string difference(const io::Json& here, const io::Json& there, const std::string& at = "") {
  if (here.is_object() && there.is_object()) {
    for (const io::Json* side : {&here, &there}) {
      for (const auto& [key, value] : side->items()) {
        const io::Json mine = here.value(key, io::Json()), other = there.value(key, io::Json());
        if (mine != other) {
          return difference(mine, other, at + (at.empty() ? "" : ".") + key);
        }
      }
    }
  }
  return at + " is " + here.dump() + ", there " + there.dump();
}

}  // namespace

bool succeeded(const io::Json& record) {
  return record.at("train_info").at("status") == "success";
}

double metric_in(const io::Json& test, const std::string& metric, const std::string& where) {
  const bool task = test.contains("metrics");
  const io::Json& metrics = task ? test.at("metrics") : test;
  if (!metrics.contains(metric)) {
    std::string known;
    for (const auto& [name, value] : metrics.items()) {
      known += (known.empty() ? "" : ", ") + name;
    }
    fail("train.481", "the test gives no metric \"" + metric + "\", expected one of " + known, where);
  }
  const io::Json& value = task ? metrics.at(metric).at("value") : metrics.at(metric);
  return io::json_as<double>(value, metric, where);
}

io::Json base_record(const Study& study, const StudyRun& run, const io::Json& test) {
  io::Json record = blank_record(study, run);
  record["train_info"]["metrics"].push_back(last_metric(*run.task, test));
  add_quality(record, *run.task, test);
  return record;
}

io::Json run_record(const Study& study, const StudyRun& run, const io::Json& run_json, const io::Json& test) {
  io::Json record = blank_record(study, run);
  const io::Json& settings = run_json.at("settings");
  const io::Json& result = run_json.at("result");
  io::Json& info = record["run_info"];
  info["total_time"] = run_json.at("times").at("all");
  info["train_config"] = {
      {"model_id", settings.at("model")},
      {"dtype", settings.at("dtype")},
      {"max_seq_length", settings.at("max_seq_len")},
      {"batch_size", settings.at("batch_size")},
      {"max_steps", settings.at("steps")},
      {"seed", settings.at("seed")},
      {"grad_norm_clip", settings.at("clip")},
      {"optimizer_type", settings.at("optimizer")},
      {"optimizer_kwargs", {{"lr", settings.at("lr")}, {"weight_decay", settings.at("weight_decay")}}},
      {"lr_scheduler", settings.at("schedule")},
      {"warmup_steps", settings.at("warmup_steps")},
      {"grad_accum", settings.at("grad_accum")}};
  if (!info["peft_config"].is_null()) {
    info["peft_config"].update(settings.at("adapters").at(0));
  }
  io::Json& trained = record["train_info"];
  const io::Json& memory = run_json.at("memory");
  const bool has_device = memory.value("device_peak_bytes", std::size_t{0}) > 0;
  const io::Json& peak = memory.at(has_device ? "device_peak_bytes" : "peak_bytes");
  trained["accelerator_memory_max"] = peak;
  trained["accelerator_memory_reserved_avg"] = peak;  // only the peak is known
  trained["accelerator_memory_reserved_99th"] = peak;
  trained["train_time"] = run_json.at("times").at("steps");
  trained["file_size"] = result.at("adapter_bytes");
  trained["num_trainable_params"] = run_json.at("model").at("trainable");
  trained["num_total_params"] = run_json.at("model").at("parameters");
  io::Json last = last_metric(*run.task, test);
  last["train loss"] = result.at("loss");
  last["train total tokens"] = result.at("tokens");
  last["train samples"] = settings.at("steps").get<Index>() * settings.at("batch_size").get<Index>() *
                          settings.at("grad_accum").get<Index>();
  if (result.at("valid_loss").is_number()) {
    last["valid loss"] = result.at("valid_loss");
  }
  trained["metrics"].push_back(last);
  io::Json& meta = record["meta_info"];
  meta["system_info"] = run_json.at("machine");
  meta["model_info"]["sha"] = run_json.at("identity").at("base");
  meta["dataset_info"] = run_json.at("identity").at("data");
  io::Json& own = record["study"];
  own["steps"] = result.at("steps");
  own["tokens"] = result.at("tokens");
  own["step_seconds"] = run_json.at("times").at("steps");
  own["valid_loss"] = result.at("valid_loss");
  own["valid_accuracy"] = run_json.at("scores").at("after").value("valid_accuracy", io::Json());
  own["rate_used"] = settings.at("lr");
  if (run_json.at("scores").at("after").contains("retain_perplexity")) {
    own["retain_perplexity"] = run_json.at("scores").at("after").at("retain_perplexity");
  }
  add_quality(record, *run.task, test);
  return record;
}

io::Json failed_record(const Study& study, const StudyRun& run, const std::string& error) {
  io::Json record = blank_record(study, run);
  record["run_info"]["error_msg"] = error;
  record["train_info"]["status"] = "failed";
  return record;
}

StudyResults::StudyResults(const Study& study, std::string folder) : study_(study), folder_(std::move(folder)) {
  const auto read = [&](const StudyRun& run) {
    const std::string path = io::join(folder_, run.name() + ".json");
    if (!io::exists(path)) {
      return;
    }
    io::Json record = io::parse_json(io::read_text(path), path);
    const auto own = io::json_get<io::Json>(record, "study", path);
    const io::Json definition = definition_of(study_, run);
    if (const auto there = io::json_get<io::Json>(own, "definition", path); there != definition) {
      fail("train.483",
           "the result is of another run: " + difference(definition, there) +
               " (take the file away to run it anew, or choose another --results)",
           path);
    }
    records_[run.name()] = std::move(record);
  };
  for (const StudyTask& task : study.tasks) {
    read({&task, nullptr, {}, 0});
    for (const StudyAdapter& adapter : study.adapters) {
      for (const std::uint64_t seed : study.seeds) {
        for (const io::Json& rate : adapter.rates) {
          read({&task, &adapter, rate, seed});
        }
      }
    }
  }
}

const io::Json* StudyResults::find(const StudyRun& run) const {
  const auto found = records_.find(run.name());
  return found == records_.end() ? nullptr : &found->second;
}

bool StudyResults::is_done(const StudyRun& run, bool tested) const {
  const io::Json* const record = find(run);
  if (record == nullptr) {
    return false;
  }
  if (!succeeded(*record)) {
    return record->at("run_info").at("error_msg").get<std::string>().starts_with("train.439");
  }
  return !tested || record->at("study").contains("quality");
}

void StudyResults::keep(const StudyRun& run, io::Json record) {
  std::filesystem::create_directories(folder_);
  io::write_text(io::join(folder_, run.name() + ".json"), record.dump(1) + "\n");
  records_[run.name()] = std::move(record);
}

std::optional<io::Json> StudyResults::chosen_rate(const StudyTask& task, const StudyAdapter& adapter) const {
  if (adapter.rates.size() == 1) {
    return adapter.rates.front();
  }
  std::optional<io::Json> best;
  double lowest = 0;
  for (const io::Json& rate : adapter.rates) {
    const StudyRun run{&task, &adapter, rate, study_.seeds.front()};
    if (!is_done(run, false)) {
      return std::nullopt;
    }
    const io::Json& record = *find(run);
    const io::Json loss = record.at("study").value("valid_loss", io::Json());
    if (succeeded(record) && loss.is_number() && (!best || loss.get<double>() < lowest)) {
      best = rate;
      lowest = loss.get<double>();
    }
  }
  return best;
}

}  // namespace graft::program
