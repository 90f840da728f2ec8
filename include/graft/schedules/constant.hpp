// SPDX-License-Identifier: Apache-2.0
// Constant: the base rate at every step.
#pragma once

#include <graft/schedule.hpp>

namespace graft::schedules {

/// Factor 1.
struct Constant {
  [[nodiscard]] constexpr double factor(Index, Index) const { return 1; }  ///< at any step
};

static_assert(schedule<Constant>);

}  // namespace graft::schedules
