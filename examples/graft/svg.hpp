// SPDX-License-Identifier: Apache-2.0
// svg: what the pictures have in common: a page with two axes of round numbers, words, lines and a legend, drawn
// without any library; colours that colour-blind people tell apart (Okabe and Ito), light and dark as the reader's
// system is.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace graft::program::svg {

/// One direction of a page.
struct Axis {
  std::string title;
  double low = 0, high = 1;
  bool logarithmic = false;

  /// 0 at `low`, 1 at `high`.
  [[nodiscard]] double share(double value) const;
  /// About `count` round numbers between the ends, at least `least` apart; on a logarithmic axis 1, 2 and 5 times
  /// powers of ten.
  [[nodiscard]] std::vector<double> ticks(double count, double least = 0) const;
};

/// A page of `width` x `height` with margins around what the axes span.
struct Frame {
  Axis x, y;
  double width = 720, height = 400;
  double left = 64, right = 24, top = 44, bottom = 48;

  [[nodiscard]] double across(double value) const { return left + (width - left - right) * x.share(value); }
  [[nodiscard]] double down(double value) const { return height - bottom - (height - top - bottom) * y.share(value); }
};

/// Classes of the style sheet: s0 ... s6 are strokes and f0 ... f6 fills of the series' colours, "soft" is for words
/// and lines that stand back, "grid" for lines behind everything, "paper" for the page itself.
[[nodiscard]] std::string series_class(char kind, std::size_t series);

[[nodiscard]] std::string number(double value);
[[nodiscard]] std::string text_at(double x, double y, const char* anchor, const std::string& text,
                                  const char* more = "");
[[nodiscard]] std::string line(double x1, double y1, double x2, double y2, const std::string& style);
[[nodiscard]] std::string circle(double x, double y, const std::string& style);

struct LegendEntry {
  std::string name;
  std::string mark;  // drawn around (12, 0), 24 wide
};
/// Marks with their names, ending at the right edge.
[[nodiscard]] std::string legend(const Frame& frame, const std::vector<LegendEntry>& entries);

/// A page with its axes and its title, and `body` on it.
[[nodiscard]] std::string page(const Frame& frame, const std::string& title, const std::string& body);

}  // namespace graft::program::svg
