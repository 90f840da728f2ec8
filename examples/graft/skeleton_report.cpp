// SPDX-License-Identifier: Apache-2.0
#include "skeleton_report.hpp"

#include <algorithm>  // find_if

#include "words.hpp"

namespace graft::program {

std::vector<SkeletonReport::Mean> SkeletonReport::means() const {
  std::vector<Mean> means;
  const auto add = [&](const std::string& name, const Line& line) {
    auto mean = std::find_if(means.begin(), means.end(), [&](const Mean& m) { return m.name == name; });
    if (mean == means.end()) {
      mean = means.insert(means.end(), {name, 0, 0, std::vector<linalg::KeptEnergy>(selectors_.size())});
    }
    const auto count = static_cast<double>(++mean->matrices);
    const auto take = [&](double& so_far, double value) { so_far += (value - so_far) / count; };
    take(mean->change, line.change);
    for (std::size_t i = 0; i < selectors_.size(); ++i) {
      take(mean->kept[i].columns, line.kept[i].columns);
      take(mean->kept[i].rows, line.kept[i].rows);
      take(mean->kept[i].both, line.kept[i].both);
    }
  };
  for (const Line& line : lines_) {
    if (!line.kept.empty()) {
      add(line.place.name.substr(line.place.name.rfind('.') + 1), line);
    }
  }
  for (const Line& line : lines_) {
    if (!line.kept.empty()) {
      add("all", line);
    }
  }
  return means;
}

std::string SkeletonReport::text() const {
  const auto percent = [](double share) { return fixed(100 * share, 2); };
  std::vector<std::vector<std::string>> table = {{"module", "shape"}};
  const auto row = [&](std::vector<std::string> begin, double change, const std::vector<std::string>& end) {
    if (is_update_) {
      begin.push_back(change > 0 ? significant(100 * change, 3) : "unchanged");
    }
    begin.insert(begin.end(), end.begin(), end.end());
    table.push_back(std::move(begin));
  };
  if (is_update_) {
    table.front().push_back("change");
  }
  table.front().insert(table.front().end(), {"selector", "columns", "rows", "in columns", "in rows", "in both"});
  for (const Line& line : lines_) {
    const std::string shape = std::to_string(line.place.outputs) + " x " + std::to_string(line.place.inputs);
    if (line.kept.empty()) {
      row({line.place.name, shape}, 0, {});
    }
    for (std::size_t i = 0; i < line.kept.size(); ++i) {
      const linalg::KeptEnergy& kept = line.kept[i];
      row({line.place.name, shape}, line.change,
          {selectors_[i], std::to_string(line.columns), std::to_string(line.rows), percent(kept.columns),
           percent(kept.rows), percent(kept.both)});
    }
  }
  for (const Mean& mean : means()) {
    if (mean.matrices == 1 && mean.name != "all") {
      continue;
    }
    for (std::size_t i = 0; i < selectors_.size(); ++i) {
      const linalg::KeptEnergy& kept = mean.kept[i];
      row({"mean of " + std::to_string(mean.matrices), mean.name == "all" ? "" : mean.name}, mean.change,
          {selectors_[i], "", "", percent(kept.columns), percent(kept.rows), percent(kept.both)});
    }
  }
  return "% of the squared Frobenius norm of " + of_ + " in the span of the chosen" +
         (is_update_ ? "; change: its norm in % of the weight's" : "") + "\n" + columns_text(table, 0);
}

io::Json SkeletonReport::kept_json(const std::vector<linalg::KeptEnergy>& kept) const {
  io::Json by_selector = io::Json::object();
  for (std::size_t i = 0; i < kept.size(); ++i) {
    by_selector[selectors_[i]] = {{"columns", kept[i].columns}, {"rows", kept[i].rows}, {"both", kept[i].both}};
  }
  return by_selector;
}

io::Json SkeletonReport::json() const {
  io::Json modules = io::Json::array();
  for (const Line& line : lines_) {
    io::Json& one = modules.emplace_back(io::Json{{"module", line.place.name},
                                                  {"layer", line.place.layer},
                                                  {"shape", {line.place.outputs, line.place.inputs}},
                                                  {"columns", line.columns},
                                                  {"rows", line.rows},
                                                  {"kept", kept_json(line.kept)}});
    if (is_update_) {
      one["change"] = line.change;
    }
  }
  io::Json all = io::Json::object();
  for (const Mean& mean : means()) {
    io::Json& one = all[mean.name] = {{"matrices", mean.matrices}, {"kept", kept_json(mean.kept)}};
    if (is_update_) {
      one["change"] = mean.change;
    }
  }
  return {{"modules", std::move(modules)}, {"means", std::move(all)}};
}

}  // namespace graft::program
