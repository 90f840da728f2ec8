// SPDX-License-Identifier: Apache-2.0
#include "loss_svg.hpp"

#include <algorithm>  // max, min

#include "svg.hpp"

namespace graft::program {

namespace {

std::string polyline(const svg::Frame& frame, const std::vector<LossPoint>& points, const std::string& style) {
  std::string path;
  for (const LossPoint& point : points) {
    path +=
        svg::number(frame.across(static_cast<double>(point.step))) + "," + svg::number(frame.down(point.loss)) + " ";
  }
  return "<polyline fill=\"none\" " + style + " points=\"" + path + "\"/>\n";
}

/// The mean of each point and those before it, over a window that grows with the run.
std::vector<LossPoint> running_mean(const std::vector<LossPoint>& points) {
  const std::size_t window = std::max<std::size_t>(1, points.size() / 25);
  std::vector<LossPoint> means;
  double sum = 0;
  for (std::size_t i = 0; i < points.size(); ++i) {
    sum += points[i].loss - (i >= window ? points[i - window].loss : 0);
    means.push_back({points[i].step, sum / static_cast<double>(std::min(i + 1, window))});
  }
  return means;
}

}  // namespace

std::string loss_svg(const std::vector<LossCurves>& runs, const std::string& title) {
  std::vector<LossPoint> all;
  bool any_valid = false;
  for (const LossCurves& run : runs) {
    const std::vector<LossPoint> shown = runs.size() == 1 ? run.train : running_mean(run.train);
    all.insert(all.end(), shown.begin(), shown.end());
    all.insert(all.end(), run.valid.begin(), run.valid.end());
    any_valid = any_valid || !run.valid.empty();
  }
  svg::Frame frame{.x = {.title = "step"}, .y = {.title = "loss"}};
  if (!all.empty()) {
    frame.y.low = frame.y.high = all.front().loss;
  }
  for (const LossPoint& point : all) {
    frame.x.high = std::max(frame.x.high, static_cast<double>(point.step));
    frame.y.low = std::min(frame.y.low, point.loss);
    frame.y.high = std::max(frame.y.high, point.loss);
  }
  const double margin = std::max(0.05 * (frame.y.high - frame.y.low), 0.01);
  frame.y.low = std::max(0.0, frame.y.low - margin);
  frame.y.high += margin;
  std::string body;
  std::vector<svg::LegendEntry> entries;
  for (std::size_t i = 0; i < runs.size(); ++i) {
    const std::string stroke = svg::series_class('s', i) + " stroke-width=\"";
    if (runs.size() == 1) {
      body += polyline(frame, runs[i].train, stroke + "1\" stroke-opacity=\"0.35\"");
    }
    body += polyline(frame, running_mean(runs[i].train), stroke + "2\"");
    for (const LossPoint& point : runs[i].valid) {
      body +=
          svg::circle(frame.across(static_cast<double>(point.step)), frame.down(point.loss), svg::series_class('f', i));
    }
    entries.push_back(
        {runs.size() == 1 ? "train (running mean)" : runs[i].name, svg::line(0, 0, 24, 0, stroke + "2\"")});
  }
  if (any_valid) {
    entries.push_back({"valid", svg::circle(12, 0, svg::series_class('f', 0))});
  }
  return svg::page(frame, title, body + svg::legend(frame, entries));
}

}  // namespace graft::program
