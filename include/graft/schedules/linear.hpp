// SPDX-License-Identifier: Apache-2.0
// Linear: falls in a straight line to nothing at the last step, as Hugging Face's trainers default to.
#pragma once

#include <graft/schedule.hpp>

namespace graft::schedules {

/// Factor (total - step) / total.
struct Linear {
  /// Nothing from `total` on.
  [[nodiscard]] constexpr double factor(Index step, Index total) const {
    return step >= total ? 0.0 : static_cast<double>(total - step) / static_cast<double>(total);
  }
};

static_assert(schedule<Linear>);

}  // namespace graft::schedules
