// SPDX-License-Identifier: Apache-2.0
#include "comparison.hpp"

#include <algorithm>  // any_of, max_element
#include <cmath>      // isfinite, isnan, sqrt
#include <limits>
#include <map>

#include "words.hpp"

namespace graft::program {

namespace {

constexpr double no_number = std::numeric_limits<double>::quiet_NaN();

Spread spread_of(const std::vector<double>& values) {
  const auto count = static_cast<double>(values.size());
  double sum = 0, squares = 0;
  for (const double value : values) {
    sum += value;
  }
  const double mean = values.empty() ? no_number : sum / count;
  for (const double value : values) {
    squares += (value - mean) * (value - mean);
  }
  return {mean, values.size() > 1 ? std::sqrt(squares / (count - 1)) : no_number, std::ssize(values)};
}

std::string machine_of(const io::Json& record) {
  const io::Json& system = record.at("meta_info").at("system_info");
  const auto threads = system.at("threads").get<Index>();
  return system.at("processor").get<std::string>() + ", " + std::to_string(threads) +
         (threads == 1 ? " thread, " : " threads, ") + system.at("instruction_set").get<std::string>();
}

/// Numbers of some records, by what they are.
class Columns {
 public:
  void add(const char* name, const io::Json& value) {
    if (value.is_number()) {
      values_[name].push_back(value.get<double>());
    }
  }
  [[nodiscard]] Spread of(const char* name) const {
    const auto found = values_.find(name);
    return spread_of(found == values_.end() ? std::vector<double>() : found->second);
  }

 private:
  std::map<std::string, std::vector<double>> values_;
};

/// How far an adapter's runs are that are not all there.
std::string status_of(const Study& study, const StudyResults& results, const StudyTask& task,
                      const StudyAdapter& adapter, Index there) {
  Index tried = 0;
  std::string error;
  for (const std::uint64_t seed : study.seeds) {
    for (const io::Json& rate : adapter.rates) {
      const StudyRun run{&task, &adapter, rate, seed};
      const io::Json* const record = results.find(run);
      tried += results.is_done(run, false) ? 1 : 0;
      if (record != nullptr && !succeeded(*record)) {
        error = record->at("run_info").at("error_msg").get<std::string>();
      }
    }
  }
  const std::string seeds = std::to_string(there) + " of " + std::to_string(study.seeds.size());
  if (there == std::ssize(study.seeds)) {
    return seeds;
  }
  if (!error.empty() && (there > 0 || !results.chosen_rate(task, adapter) || adapter.rates.size() == 1)) {
    return seeds + ", failed: " + error;
  }
  return there == 0 && adapter.rates.size() > 1
             ? std::to_string(tried) + " of " + std::to_string(adapter.rates.size()) + " rates"
             : seeds;
}

ComparisonRow row_of(const Study& study, const StudyResults& results, const StudyTask& task,
                     const StudyAdapter& adapter, const std::string& machine) {
  ComparisonRow row{.name = adapter.name, .family = adapter.family};
  Columns columns;
  if (const std::optional<io::Json> rate = results.chosen_rate(task, adapter)) {
    for (const std::uint64_t seed : study.seeds) {
      const io::Json* const record = results.find({&task, &adapter, *rate, seed});
      if (record == nullptr || !succeeded(*record) || !record->at("study").contains("quality")) {
        continue;
      }
      const io::Json& own = record->at("study");
      const io::Json& trained = record->at("train_info");
      columns.add("quality", own.at("quality"));
      columns.add("valid_loss", own.value("valid_loss", io::Json()));
      columns.add("retained", own.value("retain_perplexity", io::Json()));
      columns.add("rate", own.at("rate_used"));
      columns.add("steps", own.at("steps"));
      columns.add("tokens", own.at("tokens"));
      columns.add("trainable", trained.at("num_trainable_params"));
      columns.add("file", trained.at("file_size"));
      if (machine_of(*record) == machine) {
        const double seconds = own.at("step_seconds").get<double>();
        columns.add("peak", trained.at("accelerator_memory_max"));
        columns.add("seconds", seconds);
        columns.add("speed", own.at("tokens").get<double>() / std::max(seconds, 1e-9));
      }
    }
  }
  row.quality = columns.of("quality");
  row.valid_loss = columns.of("valid_loss");
  row.retained = columns.of("retained");
  row.rate = columns.of("rate").mean;
  row.steps = columns.of("steps").mean;
  row.tokens = columns.of("tokens").mean;
  row.trainable = columns.of("trainable").mean;
  row.file_bytes = columns.of("file").mean;
  row.peak_bytes = columns.of("peak").mean;
  row.tokens_per_second = columns.of("speed").mean;
  row.seconds = columns.of("seconds").mean;
  row.status = status_of(study, results, task, adapter, row.quality.count);
  return row;
}

ComparisonRow base_row(const StudyResults& results, const StudyTask& task) {
  ComparisonRow row{.name = "none", .family = "none", .status = "-"};
  const io::Json* const record = results.find({&task, nullptr, {}, 0});
  row.quality = spread_of(record == nullptr ? std::vector<double>()
                                            : std::vector<double>{record->at("study").at("quality").get<double>()});
  row.status = row.quality.count > 0 ? "1 of 1" : "0 of 1";
  row.valid_loss = row.retained = spread_of({});
  row.rate = row.steps = row.tokens = row.peak_bytes = row.tokens_per_second = row.seconds = no_number;
  return row;
}

// --- words ---------------------------------------------------------------------------------------------------------------

/// A share is shown in percent.
bool is_share(const StudyTask& task) {
  return !task.lower_is_better();
}

std::string metric_title(const StudyTask& task) {
  return task.metric + (is_share(task) ? " %" : "");
}

std::string shown(double value, auto format) {
  return std::isnan(value) ? "-" : format(value);
}

std::string quality_text(const Spread& spread, bool share) {
  const double factor = share ? 100 : 1;
  const int digits = share ? 1 : 4;
  std::string text = shown(spread.mean, [&](double x) { return fixed(factor * x, digits); });
  return text + (std::isnan(spread.deviation) ? "" : " ± " + fixed(factor * spread.deviation, digits));
}

std::string count_text(double value) {
  return shown(value, [](double x) { return with_commas(static_cast<Index>(x + 0.5)); });
}

std::string size_text(double value) {
  return shown(value, [](double x) { return bytes_text(static_cast<std::size_t>(x)); });
}

/// Whether any row of the study says something under a heading that is left out otherwise.
bool any(const Comparison& comparison, Spread ComparisonRow::*column) {
  return std::any_of(comparison.tasks.begin(), comparison.tasks.end(), [&](const TaskComparison& task) {
    return std::any_of(task.rows.begin(), task.rows.end(),
                       [&](const ComparisonRow& row) { return (row.*column).count > 0; });
  });
}

/// The rows of a task as words, with their heads.
std::vector<std::vector<std::string>> cells_of(const Comparison& comparison, const TaskComparison& task) {
  const bool retains = any(comparison, &ComparisonRow::retained);
  std::vector<std::vector<std::string>> table = {{task.task->name, metric_title(*task.task), "seeds", "trainable",
                                                  "file", "peak memory", "tokens/s", "seconds", "steps", "rate"}};
  if (retains) {
    table.front().insert(table.front().begin() + 2, "old text ppl");
  }
  for (const ComparisonRow& row : task.rows) {
    std::vector<std::string>& cells = table.emplace_back();
    cells = {row.name,
             quality_text(row.quality, is_share(*task.task)),
             row.status,
             count_text(row.trainable),
             size_text(row.file_bytes),
             size_text(row.peak_bytes),
             count_text(row.tokens_per_second),
             shown(row.seconds, [](double x) { return x < 100 ? fixed(x, 1) : with_commas(static_cast<Index>(x)); }),
             count_text(row.steps),
             shown(row.rate, [](double x) { return significant(x, 3); })};
    if (retains) {
      cells.insert(cells.begin() + 2, shown(row.retained.mean, [](double x) { return fixed(x, 3); }));
    }
  }
  return table;
}

std::string note_of(const Comparison& comparison) {
  return "mean ± standard deviation over " + std::to_string(comparison.seeds) +
         (comparison.seeds == 1 ? " seed" : " seeds") + "; memory, tokens/s and seconds of steps on " +
         (comparison.machine.empty() ? "no machine yet" : comparison.machine) +
         (comparison.machines > 1
              ? " (runs on " + std::to_string(comparison.machines - 1) + " other machines are left out of these)"
              : "");
}

std::string csv_cell(const std::string& text) {
  if (text.find_first_of(",\"\n") == std::string::npos) {
    return text;
  }
  std::string quoted = "\"";
  for (const char c : text) {
    quoted += c == '"' ? "\"\"" : std::string(1, c);
  }
  return quoted + "\"";
}

std::string csv_number(double value) {
  return std::isnan(value) ? "" : significant(value, 10);
}

std::string piped(std::string text) {
  for (std::size_t at = text.find('|'); at != std::string::npos; at = text.find('|', at + 2)) {
    text.replace(at, 1, "\\|");
  }
  return text;
}

io::Json number_or_null(double value) {
  return std::isfinite(value) ? io::Json(value) : io::Json();
}

}  // namespace

Comparison compare_results(const Study& study, const StudyResults& results) {
  Comparison comparison{.name = study.name, .seeds = std::ssize(study.seeds)};
  std::map<std::string, Index> machines;
  for (const auto& [name, record] : results.all()) {
    if (record.at("study").at("adapter") != "none" && succeeded(record)) {
      ++machines[machine_of(record)];
    }
  }
  comparison.machines = std::ssize(machines);
  Index most = 0;
  for (const auto& [machine, runs] : machines) {
    if (runs > most) {
      most = runs;
      comparison.machine = machine;
    }
  }
  for (const StudyTask& task : study.tasks) {
    if (results.find({&task, nullptr, {}, 0}) == nullptr) {
      continue;  // nobody has asked for it yet
    }
    TaskComparison& compared = comparison.tasks.emplace_back();
    compared.task = &task;
    compared.rows.push_back(base_row(results, task));
    for (const StudyAdapter& adapter : study.adapters) {
      compared.rows.push_back(row_of(study, results, task, adapter, comparison.machine));
    }
  }
  return comparison;
}

std::string table_text(const Comparison& comparison) {
  std::string text;
  for (const TaskComparison& task : comparison.tasks) {
    text += columns_text(cells_of(comparison, task), 0) + "\n";
  }
  return text + note_of(comparison) + "\n";
}

std::string table_markdown(const Comparison& comparison) {
  std::string text = "# " + comparison.name + "\n\n" + note_of(comparison) + "\n";
  for (const TaskComparison& task : comparison.tasks) {
    text += "\n";
    const auto cells = cells_of(comparison, task);
    for (std::size_t r = 0; r < cells.size(); ++r) {
      for (const std::string& cell : cells[r]) {
        text += "| " + piped(cell) + " ";
      }
      text += "|\n";
      for (std::size_t c = 0; r == 0 && c < cells[0].size(); ++c) {
        text += c == 0 ? "|---|" : "--:|";
      }
      text += r == 0 ? "\n" : "";
    }
  }
  return text;
}

std::string table_csv(const Comparison& comparison) {
  std::string text =
      "task,adapter,family,metric,lower_is_better,mean,deviation,runs,valid_loss,retain_perplexity,rate,steps,tokens,"
      "trainable,"
      "file_bytes,peak_bytes,tokens_per_second,seconds,status\n";
  for (const TaskComparison& task : comparison.tasks) {
    for (const ComparisonRow& row : task.rows) {
      text += csv_cell(task.task->name) + "," + csv_cell(row.name) + "," + row.family + "," + task.task->metric + "," +
              (task.task->lower_is_better() ? "true" : "false") + "," + csv_number(row.quality.mean) + "," +
              csv_number(row.quality.deviation) + "," + std::to_string(row.quality.count);
      for (const double value : {row.valid_loss.mean, row.retained.mean, row.rate, row.steps, row.tokens, row.trainable,
                                 row.file_bytes, row.peak_bytes, row.tokens_per_second, row.seconds}) {
        text += "," + csv_number(value);
      }
      text += "," + csv_cell(row.status) + "\n";
    }
  }
  return text;
}

io::Json comparison_json(const Comparison& comparison) {
  io::Json tasks = io::Json::array();
  for (const TaskComparison& task : comparison.tasks) {
    io::Json rows = io::Json::array();
    for (const ComparisonRow& row : task.rows) {
      rows.push_back({{"name", row.name},
                      {"family", row.family},
                      {"status", row.status},
                      {"quality", number_or_null(row.quality.mean)},
                      {"deviation", number_or_null(row.quality.deviation)},
                      {"retained", number_or_null(row.retained.mean)},
                      {"rate", number_or_null(row.rate)},
                      {"steps", number_or_null(row.steps)},
                      {"trainable", number_or_null(row.trainable)},
                      {"file_bytes", number_or_null(row.file_bytes)},
                      {"peak_bytes", number_or_null(row.peak_bytes)},
                      {"tokens_per_second", number_or_null(row.tokens_per_second)},
                      {"seconds", number_or_null(row.seconds)}});
    }
    tasks.push_back(
        {{"name", task.task->name}, {"metric", task.task->metric}, {"share", is_share(*task.task)}, {"rows", rows}});
  }
  return {{"name", comparison.name}, {"note", note_of(comparison)}, {"tasks", tasks}};
}

Scatter scatter_of(const Comparison& comparison, const TaskComparison& task, Cost cost) {
  const double factor = is_share(*task.task) ? 100 : 1;
  Scatter scatter;
  scatter.title = comparison.name + ": " + task.task->name;
  scatter.cost = cost == Cost::trainable ? "trainable parameters" : "seconds of training steps";
  scatter.quality = metric_title(*task.task);
  scatter.lower_is_better = task.task->lower_is_better();
  for (const ComparisonRow& row : task.rows) {
    const double x = cost == Cost::trainable ? row.trainable : row.seconds;
    if (row.family == "none") {
      scatter.base = row.quality.count > 0 ? std::optional(factor * row.quality.mean) : std::nullopt;
    } else if (x > 0 && std::isfinite(row.quality.mean)) {
      scatter.points.push_back({row.name, row.family, x, factor * row.quality.mean,
                                std::isnan(row.quality.deviation) ? 0 : factor * row.quality.deviation});
    }
  }
  return scatter;
}

}  // namespace graft::program
