// SPDX-License-Identifier: Apache-2.0
// schedule: the learning rate as a function of the step.
#pragma once

#include <concepts>

#include <graft/base/index.hpp>

namespace graft {

/// Factor on the base rate at step `step` (from 0) of `total`.
template <class S>
concept schedule = requires(const S& s, Index step, Index total) {
  { s.factor(step, total) } -> std::convertible_to<double>;
};

}  // namespace graft
