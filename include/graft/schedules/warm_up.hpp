// SPDX-License-Identifier: Apache-2.0
// WarmUp: a decorator that climbs from nothing in a straight line before another schedule takes over, as Hugging Face does.
#pragma once

#include <graft/schedule.hpp>

namespace graft::schedules {

/// Step t < steps has factor t / steps (the very first step moves nothing); then `after` over the steps that remain.
template <schedule After>
struct WarmUp {
  Index steps = 0;  ///< of the climb
  After after{};    ///< takes over at its own step 0

  /// `total` counts the climb too.
  [[nodiscard]] double factor(Index step, Index total) const {
    if (step < steps) {
      return static_cast<double>(step) / static_cast<double>(steps);
    }
    return after.factor(step - steps, total - steps > 1 ? total - steps : 1);
  }
};

/// So that WarmUp{100, Cosine{}} names its own type.
template <schedule After>
WarmUp(Index, After) -> WarmUp<After>;

}  // namespace graft::schedules
