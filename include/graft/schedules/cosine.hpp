// SPDX-License-Identifier: Apache-2.0
// Cosine: half a cosine from the base rate down to a floor. Loshchilov and Hutter, "SGDR", 2017, without restarts.
#pragma once

#include <cmath>
#include <numbers>  // pi

#include <graft/schedule.hpp>

namespace graft::schedules {

/// Factor floor + (1 - floor) (1 + cos(pi step / total)) / 2.
struct Cosine {
  double floor = 0;  ///< what the factor falls to

  /// The floor from `total` on.
  [[nodiscard]] double factor(Index step, Index total) const {
    const double progress = step >= total ? 1.0 : static_cast<double>(step) / static_cast<double>(total);
    return floor + (1 - floor) * 0.5 * (1 + std::cos(std::numbers::pi * progress));
  }
};

static_assert(schedule<Cosine>);

}  // namespace graft::schedules
