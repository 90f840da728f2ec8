// SPDX-License-Identifier: Apache-2.0
// Quality against a cost as an SVG picture: a mark for each adapter, its spread over seeds, and the front that none is
// beyond.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace graft::program {

struct ScatterPoint {
  std::string name;
  std::string family;  // gives shape and colour
  double cost = 0;     // above 0
  double quality = 0;
  double spread = 0;  // drawn to both sides of the quality; 0: none
};

struct Scatter {
  std::string title, cost, quality;  // of the page and of its axes
  bool lower_is_better = false;
  std::vector<ScatterPoint> points;
  std::optional<double> base;  // quality of the untouched model: a line, where it lies among the points
};

/// The numbers of the points than which none is better for the same cost or less, from the cheapest on.
[[nodiscard]] std::vector<std::size_t> front_of(const std::vector<ScatterPoint>& points, bool lower_is_better);

/// The cost is on a logarithmic axis. Families are told apart by shape and colour, points by their names.
[[nodiscard]] std::string scatter_svg(const Scatter& scatter);

}  // namespace graft::program
