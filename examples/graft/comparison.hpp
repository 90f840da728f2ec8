// SPDX-License-Identifier: Apache-2.0
// Comparison: what the results of a study come to: a row for each adapter on each task, means and spreads over seeds,
// as tables for people and programs and as pictures.
#pragma once

#include <string>
#include <vector>

#include <graft/io/json.hpp>

#include "scatter_svg.hpp"
#include "study.hpp"
#include "study_results.hpp"

namespace graft::program {

/// Mean and sample standard deviation of some runs; NaN where there are none, or for the deviation where there is one.
struct Spread {
  double mean = 0, deviation = 0;
  Index count = 0;
};

struct ComparisonRow {
  std::string name, family;
  std::string status = {};  // "3 of 3", "sweep 1 of 3", "failed: ..."
  Spread quality = {};
  Spread valid_loss = {}, retained = {};  // retained: the perplexity of --retain
  double rate = 0, steps = 0, tokens = 0;
  double trainable = 0, file_bytes = 0;
  double peak_bytes = 0, tokens_per_second = 0,
         seconds = 0;  // of runs on the machine that made most; NaN where none is of it
};

struct TaskComparison {
  const StudyTask* task = nullptr;
  std::vector<ComparisonRow> rows;  // the untouched model, then adapters as the study lists them
};

struct Comparison {
  std::string name;
  std::string machine = {};  // that made most of the runs
  Index machines = 0;
  Index seeds = 0;
  std::vector<TaskComparison> tasks = {};
};

[[nodiscard]] Comparison compare_results(const Study& study, const StudyResults& results);

/// For the terminal, for Markdown, for programs (one line an adapter and task, plain numbers, empty where there is none).
[[nodiscard]] std::string table_text(const Comparison& comparison);
[[nodiscard]] std::string table_markdown(const Comparison& comparison);
[[nodiscard]] std::string table_csv(const Comparison& comparison);
/// For the page.
[[nodiscard]] io::Json comparison_json(const Comparison& comparison);

enum class Cost { trainable, seconds };
/// The quality of a task against a cost.
[[nodiscard]] Scatter scatter_of(const Comparison& comparison, const TaskComparison& task, Cost cost);

}  // namespace graft::program
