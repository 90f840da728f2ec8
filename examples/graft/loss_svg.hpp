// SPDX-License-Identifier: Apache-2.0
// The loss curve as an SVG picture, drawn without any library.
#pragma once

#include <string>
#include <vector>

#include <graft/base/index.hpp>

namespace graft::program {

struct LossPoint {
  Index step = 0;
  double loss = 0;
};

/// Training loss as a pale line with its running mean over it, validation loss as dots, axes with round numbers.
[[nodiscard]] std::string loss_svg(const std::vector<LossPoint>& train, const std::vector<LossPoint>& valid,
                                   const std::string& title);

}  // namespace graft::program
