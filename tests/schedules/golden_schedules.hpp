// SPDX-License-Identifier: Apache-2.0
// The factors that transformers' schedules give to 20 training steps.
#pragma once

#include <cmath>
#include <string>

#include <graft/io/json.hpp>
#include <graft/schedule.hpp>

#include "support/catch.hpp"
#include "support/files.hpp"
#include "support/paths.hpp"

namespace graft::test {

inline constexpr Index golden_steps = 20;

/// `name` as transformers has it: "cosine.warmup3".
template <schedule S>
void check_golden_schedule(const std::string& name, const S& rates) {
  const std::string path = golden("train/schedules.json");
  const auto factors = io::json_get<std::vector<double>>(io::parse_json(slurp(path), path), name, path);
  for (Index step = 0; step <= golden_steps; ++step) {
    CAPTURE(name, step);
    CHECK(std::abs(rates.factor(step, golden_steps) - factors[static_cast<std::size_t>(step)]) < 1e-15);
  }
}

}  // namespace graft::test
