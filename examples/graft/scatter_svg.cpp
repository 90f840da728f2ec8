// SPDX-License-Identifier: Apache-2.0
#include "scatter_svg.hpp"

#include <algorithm>  // any_of, find, max, min, sort
#include <array>
#include <numeric>  // iota

#include "svg.hpp"
#include "words.hpp"

namespace graft::program {

namespace {

/// The mark of a family: shapes and colours change at different paces, so that few families share both.
std::string mark(std::size_t family, double x, double y) {
  constexpr std::array<const char*, 6> shapes = {"M-5 0A5 5 0 1 0 5 0A5 5 0 1 0 -5 0Z",
                                                 "M-4.5 -4.5H4.5V4.5H-4.5Z",
                                                 "M0 -6L6 5H-6Z",
                                                 "M0 -6.5L6.5 0L0 6.5L-6.5 0Z",
                                                 "M0 6L6 -5H-6Z",
                                                 "M-2 -6H2V-2H6V2H2V6H-2V2H-6V-2H-2Z"};
  return "<path transform=\"translate(" + svg::number(x) + " " + svg::number(y) + ")\" d=\"" +
         shapes[family % shapes.size()] + "\" " + svg::series_class('f', family) + "/>\n";
}

struct Box {
  double left = 0, top = 0, right = 0, bottom = 0;

  [[nodiscard]] bool meets(const Box& other) const {
    return left < other.right && other.left < right && top < other.bottom && other.top < bottom;
  }
};

/// Names beside their points, each at the first place around it where it covers nothing; one that finds none stands a
/// little off, with a line to its point.
class Labels {
 public:
  explicit Labels(const svg::Frame& frame) : frame_(frame) {}

  void keep_free(double x, double y) { taken_.push_back({x - 6, y - 6, x + 6, y + 6}); }

  std::string place(double x, double y, const std::string& name) {
    const double wide = 6.1 * static_cast<double>(width_of(name));
    for (const double off : {0.0, 14.0, -14.0, 28.0, -28.0, 42.0, -42.0, 56.0, -56.0, 70.0, -70.0}) {
      const double gap = off == 0 ? 9 : 16;
      for (const double left : {x + gap, x - gap - wide, x - wide / 2}) {
        const bool is_beside = left != x - wide / 2;
        const double middle = y + off + (is_beside ? 0 : off < 0 ? -2 : 14);
        const Box box{left, middle - 6, left + wide, middle + 6};
        const bool fits = box.left > frame_.left && box.right < frame_.width - 4 && box.top > frame_.top - 8 &&
                          box.bottom < frame_.height - frame_.bottom;
        if (fits && std::none_of(taken_.begin(), taken_.end(), [&](const Box& other) { return box.meets(other); })) {
          taken_.push_back(box);
          const double to = left > x ? left - 2 : box.right + 2;
          return (off != 0 && is_beside ? svg::line(x, y, to, middle, "class=\"soft\" stroke-width=\"0.6\"") : "") +
                 svg::text_at(left, middle + 4, "start", name, " font-size=\"11\"");
        }
      }
    }
    return svg::text_at(x + 9, y + 4, "start", name, " font-size=\"11\"");
  }

 private:
  const svg::Frame& frame_;
  std::vector<Box> taken_;
};

/// Axes that hold all points with their spreads, and some room.
svg::Frame frame_of(const Scatter& s) {
  svg::Frame frame{.x = {.title = s.cost, .logarithmic = true}, .y = {.title = s.quality}, .height = 460};
  if (s.points.empty()) {
    frame.x = {s.cost, 1, 10, true};
    return frame;
  }
  frame.x.low = frame.x.high = s.points.front().cost;
  frame.y.low = frame.y.high = s.points.front().quality;
  for (const ScatterPoint& point : s.points) {
    frame.x.low = std::min(frame.x.low, point.cost);
    frame.x.high = std::max(frame.x.high, point.cost);
    frame.y.low = std::min(frame.y.low, point.quality - point.spread);
    frame.y.high = std::max(frame.y.high, point.quality + point.spread);
  }
  frame.x.low /= 1.5;
  frame.x.high *= 2;
  const double margin = std::max(0.06 * (frame.y.high - frame.y.low), 1e-6 + 1e-3 * frame.y.high);
  frame.y.low -= margin;
  frame.y.high += margin;
  return frame;
}

}  // namespace

std::vector<std::size_t> front_of(const std::vector<ScatterPoint>& points, bool lower_is_better) {
  std::vector<std::size_t> order(points.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  const auto better = [&](std::size_t a, std::size_t b) {
    return lower_is_better ? points[a].quality < points[b].quality : points[a].quality > points[b].quality;
  };
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return points[a].cost != points[b].cost ? points[a].cost < points[b].cost : better(a, b);
  });
  std::vector<std::size_t> front;
  for (const std::size_t i : order) {
    if (front.empty() || better(i, front.back())) {
      front.push_back(i);
    }
  }
  return front;
}

std::string scatter_svg(const Scatter& s) {
  const svg::Frame frame = frame_of(s);
  std::vector<std::string> families;
  for (const ScatterPoint& point : s.points) {
    if (std::find(families.begin(), families.end(), point.family) == families.end()) {
      families.push_back(point.family);
    }
  }
  std::string body, marks, names;
  const double right = frame.width - frame.right;
  if (s.base && *s.base > frame.y.low && *s.base < frame.y.high) {
    body += svg::line(frame.left, frame.down(*s.base), right, frame.down(*s.base),
                      "class=\"soft\" stroke-dasharray=\"2 3\"") +
            svg::text_at(right, frame.down(*s.base) - 4, "end", "untouched model", " class=\"soft\"");
  }
  std::string front;
  for (const std::size_t i : front_of(s.points, s.lower_is_better)) {
    front += svg::number(frame.across(s.points[i].cost)) + "," + svg::number(frame.down(s.points[i].quality)) + " ";
  }
  body += "<polyline fill=\"none\" class=\"soft\" stroke-dasharray=\"6 4\" points=\"" + front + "\"/>\n";
  Labels labels(frame);
  for (const ScatterPoint& point : s.points) {
    labels.keep_free(frame.across(point.cost), frame.down(point.quality));
  }
  for (const ScatterPoint& point : s.points) {
    const auto family =
        static_cast<std::size_t>(std::find(families.begin(), families.end(), point.family) - families.begin());
    const double x = frame.across(point.cost), y = frame.down(point.quality);
    if (point.spread > 0) {
      body += svg::line(x, frame.down(point.quality - point.spread), x, frame.down(point.quality + point.spread),
                        svg::series_class('s', family) + " stroke-width=\"1.5\" stroke-opacity=\"0.6\"");
    }
    marks += mark(family, x, y);
    names += labels.place(x, y, point.name);
  }
  return svg::page(frame, s.title, body + marks + names);
}

}  // namespace graft::program
