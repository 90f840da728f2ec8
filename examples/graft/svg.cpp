// SPDX-License-Identifier: Apache-2.0
#include "svg.hpp"

#include <algorithm>  // max
#include <cmath>
#include <iterator>  // size

#include "words.hpp"

namespace graft::program::svg {

namespace {

constexpr const char* light[] = {"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000"};
constexpr const char* dark[] = {"#56b4e9", "#e69f00", "#009e73", "#cc79a7", "#f0e442", "#d55e00", "#ffffff"};

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

std::string colours(const char* const (&palette)[7], const char* paper, const char* ink, const char* soft,
                    const char* grid) {
  std::string rules = std::string(".paper{fill:") + paper + "}text{fill:" + ink + "}text.soft{fill:" + soft +
                      "}.soft{stroke:" + soft + "}text.soft{stroke:none}.grid{stroke:" + grid + "}";
  for (std::size_t i = 0; i < std::size(palette); ++i) {
    const std::string digit = std::to_string(i);
    rules += ".s" + digit + "{stroke:" + palette[i] + "}.f" + digit + "{fill:" + palette[i] + "}";
  }
  return rules;
}

/// 1,200,000 as "1.2M": a tick has little room.
std::string short_number(double value) {
  return value >= 1e6   ? significant(value / 1e6, 3) + "M"
         : value >= 1e3 ? significant(value / 1e3, 3) + "k"
                        : significant(value, 3);
}

std::string axes(const Frame& frame) {
  const double bottom = frame.height - frame.bottom, right = frame.width - frame.right;
  std::string out;
  for (const double tick : frame.y.ticks(5)) {
    out += line(frame.left, frame.down(tick), right, frame.down(tick), "class=\"grid\"");
    out += text_at(frame.left - 8, frame.down(tick) + 4, "end", significant(tick, 4));
  }
  for (const double tick : frame.x.ticks(8, 1)) {
    out += line(frame.across(tick), bottom, frame.across(tick), bottom + 5, "class=\"soft\"");
    out += text_at(frame.across(tick), bottom + 20, "middle",
                   frame.x.logarithmic ? short_number(tick) : significant(tick, 6));
  }
  out += line(frame.left, bottom, right, bottom, "class=\"soft\"") +
         line(frame.left, frame.top, frame.left, bottom, "class=\"soft\"");
  return out + text_at((frame.left + right) / 2, frame.height - 10, "middle", frame.x.title) +
         text_at(8, frame.top - 6, "start", frame.y.title);
}

}  // namespace

double Axis::share(double value) const {
  return logarithmic ? std::log(value / low) / std::log(high / low) : (value - low) / (high - low);
}

std::vector<double> Axis::ticks(double count, double least) const {
  std::vector<double> all;
  if (logarithmic) {
    const bool few = std::log10(high / low) < 3;
    for (double power = std::pow(10.0, std::floor(std::log10(low))); power <= high; power *= 10) {
      for (const double tick : {power, 2 * power, 5 * power}) {
        if (tick >= low && tick <= high && (few || tick == power)) {
          all.push_back(tick);
        }
      }
    }
    return all;
  }
  const double step = std::max(least, round_step(high - low, count));
  for (double tick = std::ceil(low / step) * step; tick <= high + step * 1e-6; tick += step) {
    all.push_back(std::abs(tick) < step * 1e-6 ? 0 : tick);
  }
  return all;
}

std::string series_class(char kind, std::size_t series) {
  return "class=\"" + std::string(1, kind) + std::to_string(series % std::size(light)) + "\"";
}

std::string number(double value) {
  return fixed(value, 1);
}

std::string text_at(double x, double y, const char* anchor, const std::string& text, const char* more) {
  return "<text x=\"" + number(x) + "\" y=\"" + number(y) + "\" text-anchor=\"" + anchor + "\"" + more + ">" +
         escaped(text) + "</text>\n";
}

std::string line(double x1, double y1, double x2, double y2, const std::string& style) {
  return "<line x1=\"" + number(x1) + "\" y1=\"" + number(y1) + "\" x2=\"" + number(x2) + "\" y2=\"" + number(y2) +
         "\" " + style + "/>\n";
}

std::string circle(double x, double y, const std::string& style) {
  return "<circle r=\"4\" " + style + " cx=\"" + number(x) + "\" cy=\"" + number(y) + "\"/>\n";
}

std::string legend(const Frame& frame, const std::vector<LegendEntry>& entries) {
  const auto room = [](const LegendEntry& entry) {  // a mark, a gap, and letters of average width
    return 46 + 6.6 * static_cast<double>(width_of(entry.name));
  };
  double x = frame.width - frame.right;
  for (const LegendEntry& entry : entries) {
    x -= room(entry);
  }
  std::string out;
  for (const LegendEntry& entry : entries) {
    out += "<g transform=\"translate(" + number(x) + " 20)\">" + entry.mark + "</g>\n";
    out += text_at(x + 30, 24, "start", entry.name);
    x += room(entry);
  }
  return out;
}

std::string page(const Frame& frame, const std::string& title, const std::string& body) {
  return "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 " + number(frame.width) + " " + number(frame.height) +
         "\" font-family=\"sans-serif\" font-size=\"12\">\n<style>" +
         colours(light, "#ffffff", "#333333", "#5a5a5a", "#e4e4e4") + "@media (prefers-color-scheme:dark){" +
         colours(dark, "#16181b", "#ececec", "#a9a9a9", "#3a3d42") +
         "}</style>\n<rect width=\"100%\" height=\"100%\" class=\"paper\"/>\n" + axes(frame) + body +
         text_at(16 + frame.left, 24, "start", title) + "</svg>\n";
}

}  // namespace graft::program::svg
