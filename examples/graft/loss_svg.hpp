// SPDX-License-Identifier: Apache-2.0
// Loss curves as an SVG picture, drawn without any library.
#pragma once

#include <string>
#include <vector>

#include <graft/base/index.hpp>

namespace graft::program {

struct LossPoint {
  Index step = 0;
  double loss = 0;
};

/// The curves of one run.
struct LossCurves {
  std::string name;
  std::vector<LossPoint> train, valid;
};

/// The running mean of every run's training loss as a line (over the losses themselves, where there is one run), its
/// validation losses as dots; axes with round numbers, colours that colour-blind people tell apart (Okabe and Ito).
[[nodiscard]] std::string loss_svg(const std::vector<LossCurves>& runs, const std::string& title);

}  // namespace graft::program
