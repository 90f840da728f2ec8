// SPDX-License-Identifier: Apache-2.0
#include "loss_svg.hpp"

#include <algorithm>  // max, min
#include <cmath>
#include <iterator>  // size

#include "words.hpp"

namespace graft::program {

namespace {

/// The picture, and the margins of the axes in it.
struct Page {
  static constexpr double width = 720, height = 400, left = 64, right = 24, top = 44, bottom = 48;
};

/// 1, 2 or 5 times a power of ten, so that about `count` of them cover `range`.
double round_step(double range, double count) {
  const double raw = range / count;
  const double power = std::pow(10.0, std::floor(std::log10(raw)));
  const double digit = raw / power;
  return power * (digit <= 1 ? 1 : digit <= 2 ? 2 : digit <= 5 ? 5 : 10);
}

std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    out += c == '&' ? "&amp;" : c == '<' ? "&lt;" : c == '>' ? "&gt;" : c == '"' ? "&quot;" : std::string(1, c);
  }
  return out;
}

std::string number(double value) {
  return fixed(value, 1);
}

/// From steps and losses to the page.
struct Frame {
  double last_step = 1, low = 0, high = 1;

  [[nodiscard]] double x(double step) const {
    return Page::left + (Page::width - Page::left - Page::right) * step / last_step;
  }
  [[nodiscard]] double y(double loss) const {
    return Page::height - Page::bottom - (Page::height - Page::top - Page::bottom) * (loss - low) / (high - low);
  }
};

std::string text_at(double x, double y, const char* anchor, const std::string& text) {
  return "<text x=\"" + number(x) + "\" y=\"" + number(y) + "\" text-anchor=\"" + anchor + "\">" + escaped(text) +
         "</text>\n";
}

std::string line(double x1, double y1, double x2, double y2, const char* colour) {
  return "<line x1=\"" + number(x1) + "\" y1=\"" + number(y1) + "\" x2=\"" + number(x2) + "\" y2=\"" + number(y2) +
         "\" stroke=\"" + colour + "\"/>\n";
}

std::string polyline(const Frame& frame, const std::vector<LossPoint>& points, const char* style) {
  std::string path;
  for (const LossPoint& point : points) {
    path += number(frame.x(static_cast<double>(point.step))) + "," + number(frame.y(point.loss)) + " ";
  }
  return "<polyline fill=\"none\" " + std::string(style) + " points=\"" + path + "\"/>\n";
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

std::string axes(const Frame& frame) {
  std::string out;
  const double loss_step = round_step(frame.high - frame.low, 5);
  for (double tick = std::ceil(frame.low / loss_step) * loss_step; tick <= frame.high + loss_step * 1e-6;
       tick += loss_step) {
    out += line(Page::left, frame.y(tick), Page::width - Page::right, frame.y(tick), "#e4e4e4");
    out +=
        text_at(Page::left - 8, frame.y(tick) + 4, "end", significant(std::abs(tick) < loss_step * 1e-6 ? 0 : tick, 4));
  }
  const double step = std::max(1.0, round_step(frame.last_step, 8));
  for (double tick = 0; tick <= frame.last_step; tick += step) {
    out += line(frame.x(tick), Page::height - Page::bottom, frame.x(tick), Page::height - Page::bottom + 5, "#555");
    out += text_at(frame.x(tick), Page::height - Page::bottom + 20, "middle", significant(tick, 6));
  }
  out += line(Page::left, Page::height - Page::bottom, Page::width - Page::right, Page::height - Page::bottom, "#555") +
         line(Page::left, Page::top, Page::left, Page::height - Page::bottom, "#555");
  out += text_at((Page::left + Page::width - Page::right) / 2, Page::height - 10, "middle", "step");
  return out + text_at(Page::left - 8, Page::top - 12, "end", "loss");
}

struct LegendEntry {
  std::string name;
  const char* colour;
  bool dot = false;
};

/// Lines and dots with their names, ending at the right edge.
std::string legend(const std::vector<LegendEntry>& entries) {
  const auto room = [](const LegendEntry& entry) {  // a sample, a gap, and letters of average width
    return 46 + 6.6 * static_cast<double>(entry.name.size());
  };
  double x = Page::width - Page::right;
  for (const LegendEntry& entry : entries) {
    x -= room(entry);
  }
  std::string out;
  for (const LegendEntry& entry : entries) {
    out += entry.dot ? "<circle r=\"4\" fill=\"" + std::string(entry.colour) + "\" cx=\"" + number(x + 12) +
                           "\" cy=\"20\"/>\n"
                     : line(x, 20, x + 24, 20, entry.colour);
    out += text_at(x + 30, 24, "start", entry.name);
    x += room(entry);
  }
  return out;
}

}  // namespace

std::string loss_svg(const std::vector<LossCurves>& runs, const std::string& title) {
  constexpr const char* colours[] = {"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000"};
  const auto colour_of = [&](std::size_t run) { return colours[run % std::size(colours)]; };
  std::vector<LossPoint> all;
  bool any_valid = false;
  for (const LossCurves& run : runs) {
    const std::vector<LossPoint> shown = runs.size() == 1 ? run.train : running_mean(run.train);
    all.insert(all.end(), shown.begin(), shown.end());
    all.insert(all.end(), run.valid.begin(), run.valid.end());
    any_valid = any_valid || !run.valid.empty();
  }
  Frame frame;
  if (!all.empty()) {
    frame.low = frame.high = all.front().loss;
  }
  for (const LossPoint& point : all) {
    frame.last_step = std::max(frame.last_step, static_cast<double>(point.step));
    frame.low = std::min(frame.low, point.loss);
    frame.high = std::max(frame.high, point.loss);
  }
  const double margin = std::max(0.05 * (frame.high - frame.low), 0.01);
  frame.low = std::max(0.0, frame.low - margin);
  frame.high += margin;
  std::string out = "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 " + number(Page::width) + " " +
                    number(Page::height) +
                    "\" font-family=\"sans-serif\" font-size=\"12\" fill=\"#333\">\n"
                    "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n";
  out += axes(frame);
  for (std::size_t i = 0; i < runs.size(); ++i) {
    const std::string stroke = "stroke=\"" + std::string(colour_of(i)) + "\" stroke-width=\"";
    if (runs.size() == 1) {
      out += polyline(frame, runs[i].train, (stroke + "1\" stroke-opacity=\"0.35\"").c_str());
    }
    out += polyline(frame, running_mean(runs[i].train), (stroke + "2\"").c_str());
    for (const LossPoint& point : runs[i].valid) {
      out += "<circle r=\"4\" fill=\"" + std::string(colour_of(i)) + "\" stroke=\"white\" cx=\"" +
             number(frame.x(static_cast<double>(point.step))) + "\" cy=\"" + number(frame.y(point.loss)) + "\"/>\n";
    }
  }
  std::vector<LegendEntry> entries;
  for (std::size_t i = 0; i < runs.size(); ++i) {
    entries.push_back({runs.size() == 1 ? "train (running mean)" : runs[i].name, colour_of(i)});
  }
  if (any_valid) {
    entries.push_back({"valid", runs.size() == 1 ? colour_of(0) : "#555", true});
  }
  return out + legend(entries) + text_at(Page::left + 16, 24, "start", title) + "</svg>\n";
}

}  // namespace graft::program
