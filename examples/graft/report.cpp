// SPDX-License-Identifier: Apache-2.0
// graft report: runs side by side, from their run.json and log.jsonl: a table, the losses in one picture, or all of it as a page.
#include <cstdio>
#include <map>

#include <graft/io/atomic_file.hpp>
#include <graft/io/jsonl.hpp>
#include <graft/io/path.hpp>

#include "commands.hpp"
#include "loss_svg.hpp"
#include "report_html.hpp"
#include "words.hpp"

namespace graft::program {

namespace {

struct FinishedRun {
  std::string folder;
  io::Json json;  // run.json
  LossCurves curves;
};

FinishedRun read_run(const std::string& folder) {
  const std::string path = io::join(folder, "run.json");
  if (!io::exists(path)) {
    fail("train.442", "the folder holds no run.json, expected one that graft finetune wrote and finished", folder);
  }
  FinishedRun run{folder, io::parse_json(io::read_text(path), path), {}};
  for (const char* part : {"settings", "model", "memory", "times", "result", "scores"}) {
    (void)io::json_get<io::Json>(run.json, part, path);
  }
  run.curves.name = io::json_get<std::string>(run.json["settings"], "adapter", path);
  (void)io::json_get<io::Json>(run.json["scores"], "after", path);
  const io::Json before = io::json_get<io::Json>(run.json["scores"], "before", path);
  if (before.contains("valid_loss")) {
    run.curves.valid.push_back({0, io::json_get<double>(before, "valid_loss", path)});
  }
  const std::string log = io::join(folder, "log.jsonl");
  io::for_each_record(log, [&](const io::Json& record, Index line) {
    const std::string where = log + ":" + std::to_string(line);
    const auto step = io::json_get<Index>(record, "step", where);
    if (record.contains("loss") || !record.contains("skipped")) {  // a batch that was left out may have no loss
      run.curves.train.push_back({step, io::json_get<double>(record, "loss", where)});
    }
    if (record.contains("valid_loss") && !record["valid_loss"].is_null()) {  // null: it was not finite
      run.curves.valid.push_back({step, io::json_get<double>(record, "valid_loss", where)});
    }
  });
  return run;
}

/// "0.6931 -> 0.1234", or a dash where nothing was measured.
template <class Format>
std::string change(const io::Json& scores, const char* key, const Format& format) {
  const auto show = [&](const io::Json& side) {
    const auto found = side.find(key);
    return found == side.end() || !found->is_number() ? std::string("-") : format(found->template get<double>());
  };
  const std::string before = show(scores["before"]), after = show(scores["after"]);
  return before == "-" && after == "-" ? "-" : before + " -> " + after;
}

/// The same of the loss; where nothing was validated, that of the batches trained on, with a star.
std::string loss_of(const FinishedRun& run) {
  const std::string valid = change(run.json["scores"], "valid_loss", [](double x) { return fixed(x, 3); });
  const std::vector<LossPoint>& train = run.curves.train;
  return valid != "-" || train.empty() ? valid
                                       : fixed(train.front().loss, 3) + " -> " + fixed(train.back().loss, 3) + " *";
}

std::vector<std::string> row_of(const FinishedRun& run) {
  const io::Json& json = run.json;
  const std::string path = io::join(run.folder, "run.json");
  const auto trainable = io::json_get<Index>(json["model"], "trainable", path);
  const auto all =
      io::json_get<Index>(json["model"], "parameters", path) + (json["settings"]["adapter"] == "full" ? 0 : trainable);
  return {run.curves.name,
          with_commas(trainable),
          fixed(100.0 * static_cast<double>(trainable) / static_cast<double>(all), 3),
          loss_of(run),
          change(json["scores"], "valid_accuracy", [](double x) { return fixed(100 * x, 1); }),
          change(json["scores"], "retain_perplexity", [](double x) { return significant(x, 4); }),
          with_commas(static_cast<Index>(io::json_get<double>(json["result"], "tokens_per_second", path))),
          bytes_text(io::json_get<std::size_t>(json["memory"], "peak_bytes", path)),
          fixed(io::json_get<double>(json["times"], "all", path), 1)};
}

}  // namespace

int report(const ReportSettings& settings) {
  std::vector<FinishedRun> runs;
  std::map<std::string, int> names;
  for (const std::string& folder : settings.runs) {
    runs.push_back(read_run(folder));
    ++names[runs.back().curves.name];
  }
  std::vector<std::vector<std::string>> table = {{"method", "trainable", "% of model", "loss", "accuracy %",
                                                  "old text ppl", "tokens/s", "peak memory", "seconds"}};
  std::vector<LossCurves> curves;
  io::Json all = io::Json::array();
  for (FinishedRun& run : runs) {
    if (names[run.curves.name] > 1) {
      run.curves.name += " (" + run.folder + ")";
    }
    table.push_back(row_of(run));
    curves.push_back(run.curves);
    all.push_back(run.json);
  }
  if (!settings.svg.empty()) {
    io::write_text(settings.svg, loss_svg(curves, "training loss"));
  }
  if (!settings.html.empty()) {
    io::Json page = {{"runs", io::Json::array()}};
    for (const FinishedRun& run : runs) {
      io::Json shown = page_data(run.folder);
      shown["name"] = run.curves.name;
      shown["run"] = run.json;
      page["runs"].push_back(std::move(shown));
    }
    io::write_text(settings.html, report_html(page));
  }
  std::string text = columns_text(table, 0);
  if (text.find(" *") != std::string::npos) {
    text += "* of the first and last batch: the run had no --valid\n";
  }
  std::fputs(settings.json ? (io::Json{{"runs", all}}.dump() + "\n").c_str() : text.c_str(), stdout);
  return exit_success;
}

}  // namespace graft::program
