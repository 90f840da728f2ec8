// SPDX-License-Identifier: Apache-2.0
#include "loss_svg.hpp"

#include <algorithm>  // max, min
#include <cmath>

#include "words.hpp"

namespace graft::program {

namespace {

constexpr double width = 720, height = 400, left = 64, right = 24, top = 44, bottom = 48;

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

  [[nodiscard]] double x(double step) const { return left + (width - left - right) * step / last_step; }
  [[nodiscard]] double y(double loss) const {
    return height - bottom - (height - top - bottom) * (loss - low) / (high - low);
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
    out += line(left, frame.y(tick), width - right, frame.y(tick), "#e4e4e4");
    out += text_at(left - 8, frame.y(tick) + 4, "end", significant(std::abs(tick) < loss_step * 1e-6 ? 0 : tick, 4));
  }
  const double step = std::max(1.0, round_step(frame.last_step, 8));
  for (double tick = 0; tick <= frame.last_step; tick += step) {
    out += line(frame.x(tick), height - bottom, frame.x(tick), height - bottom + 5, "#555");
    out += text_at(frame.x(tick), height - bottom + 20, "middle", significant(tick, 6));
  }
  out += line(left, height - bottom, width - right, height - bottom, "#555") +
         line(left, top, left, height - bottom, "#555");
  out += text_at((left + width - right) / 2, height - 10, "middle", "step");
  return out + text_at(left - 8, top - 12, "end", "loss");
}

}  // namespace

std::string loss_svg(const std::vector<LossPoint>& train, const std::vector<LossPoint>& valid,
                     const std::string& title) {
  std::vector<LossPoint> all = train;
  all.insert(all.end(), valid.begin(), valid.end());
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
  std::string out = "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 " + number(width) + " " + number(height) +
                    "\" font-family=\"sans-serif\" font-size=\"12\" fill=\"#333\">\n"
                    "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n";
  out += axes(frame);
  out += polyline(frame, train, "stroke=\"#9ec5e8\" stroke-width=\"1\"");
  out += polyline(frame, running_mean(train), "stroke=\"#1f6fb4\" stroke-width=\"2\"");
  for (const LossPoint& point : valid) {
    out += "<circle r=\"4\" fill=\"#d4572a\" cx=\"" + number(frame.x(static_cast<double>(point.step))) + "\" cy=\"" +
           number(frame.y(point.loss)) + "\"/>\n";
  }
  out += text_at(left + 16, 24, "start", title);
  out += line(width - 230, 20, width - 206, 20, "#1f6fb4") + text_at(width - 200, 24, "start", "train (running mean)");
  if (!valid.empty()) {
    out += "<circle r=\"4\" fill=\"#d4572a\" cx=\"" + number(width - 66) + "\" cy=\"20\"/>\n";
    out += text_at(width - 56, 24, "start", "valid");
  }
  return out + "</svg>\n";
}

}  // namespace graft::program
