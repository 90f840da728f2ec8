// SPDX-License-Identifier: Apache-2.0
// graft compare: the runs of a study, each a process of its own, and what they come to. What is done is kept, so that
// the same command goes on wherever it was broken off.
#include <unistd.h>  // getpid

#include <cstdio>
#include <filesystem>
#include <optional>

#include <graft/io/atomic_file.hpp>
#include <graft/io/path.hpp>

#include "commands.hpp"
#include "comparison.hpp"
#include "interrupt.hpp"
#include "page.hpp"
#include "report_html.hpp"
#include "scatter_svg.hpp"
#include "study.hpp"
#include "study_plan.hpp"
#include "study_results.hpp"
#include "study_runs.hpp"
#include "words.hpp"

namespace graft::program {

namespace {

namespace fs = std::filesystem;

/// The page of the comparison, with the first seed's run of each adapter where its folder is here.
void write_page(const Study& study, const StudyResults& results, const StudyRuns& runs, const Comparison& comparison,
                const std::string& path) {
  if (page::chart_js.empty()) {
    std::fputs("report.html is left out: this graft was built without Chart.js (Debian: libjs-chart.js)\n", stderr);
    return;
  }
  io::Json page = {{"runs", io::Json::array()}, {"comparison", comparison_json(comparison)}};
  for (const StudyTask& task : study.tasks) {
    for (const StudyAdapter& adapter : study.adapters) {
      const std::optional<io::Json> rate = results.chosen_rate(task, adapter);
      const std::string folder = rate ? runs.folder_of({&task, &adapter, *rate, study.seeds.front()}) : "";
      const std::string run = io::join(folder, "run.json");
      if (rate && io::exists(run)) {
        io::Json shown = page_data(folder);
        shown["name"] = (study.tasks.size() > 1 ? task.name + ": " : "") + adapter.name;
        shown["run"] = io::parse_json(io::read_text(run), run);
        page["runs"].push_back(std::move(shown));
      }
    }
  }
  io::write_text(path, report_html(page));
}

/// All that is made of the results, as far as they are there.
Comparison write_reports(const Study& study, const StudyResults& results, const StudyRuns& runs,
                         const std::string& out) {
  Comparison comparison = compare_results(study, results);
  io::Json all = io::Json::array();
  for (const auto& [name, record] : results.all()) {
    all.push_back(record);
  }
  std::string pictures;
  for (const TaskComparison& task : comparison.tasks) {
    for (const Cost cost : {Cost::trainable, Cost::seconds}) {
      const Scatter scatter = scatter_of(comparison, task, cost);
      const std::string name =
          file_name_of(task.task->name) + (cost == Cost::trainable ? "-parameters.svg" : "-time.svg");
      io::write_text(io::join(out, name), scatter_svg(scatter));
      pictures += "\n![" + scatter.title + ", " + scatter.quality + " against " + scatter.cost + "](" + name + ")\n";
    }
  }
  io::write_text(io::join(out, "table.md"), table_markdown(comparison) + pictures);
  io::write_text(io::join(out, "table.csv"), table_csv(comparison));
  io::write_text(io::join(out, "results.json"), all.dump(1) + "\n");
  write_page(study, results, runs, comparison, io::join(out, "report.html"));
  return comparison;
}

}  // namespace

int compare(const CompareSettings& s) {
  const io::Json json = io::parse_json(io::read_text(s.study), s.study);
  const std::string out = fs::absolute(s.out).lexically_normal().string();
  const std::string kept = s.results.empty() ? io::join(out, "results") : fs::absolute(s.results).string();
  fs::current_path(fs::absolute(s.study).parent_path());  // paths in the study are relative to it, for every child too
  const Study study = read_study(json, s.study);
  const StudyPart part = part_of(study, s.only);
  StudyResults results(study, kept);
  listen_for_interrupt();
  const std::string notes = s.dry_run ? (fs::temp_directory_path() / ("graft-" + std::to_string(::getpid()))).string()
                                      : io::join(out, "checks");
  try {
    if (s.dry_run) {
      StudyPlan plan(study, results, "", notes);
      StudyRuns runs(study, part, results, plan, out);
      runs.check();
      std::fputs(runs.forecast().c_str(), stdout);
      fs::remove(notes);
      fs::remove(notes + ".json");
      return exit_success;
    }
    fs::create_directories(out);
    io::write_text(io::join(out, "study.json"), json.dump(2) + "\n");
    StudyPlan plan(study, results, io::join(out, "plan.json"), notes);
    StudyRuns runs(study, part, results, plan, out);
    runs.check();
    const bool good = runs.run();
    std::fputs(table_text(write_reports(study, results, runs, out)).c_str(), stdout);
    std::fprintf(stderr, "%s: table.md, table.csv, results.json, report.html and pictures\n", out.c_str());
    return good ? exit_success : exit_error;
  } catch (const BrokenOff&) {
    std::fputs("\ninterrupted; the same command goes on\n", stderr);
    return exit_interrupted;
  }
}

}  // namespace graft::program
