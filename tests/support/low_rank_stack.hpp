// SPDX-License-Identifier: Apache-2.0
// LowRank: what writes as a low-rank update, in one stack, so that its tests compile one model run.
#pragma once

#include <graft/adapters/dora.hpp>
#include <graft/adapters/lora.hpp>
#include <graft/adapters/pissa.hpp>
#include <graft/adapters/pmss.hpp>

#include "support/chosen_parts.hpp"

namespace graft::test {

using LowRank = Stack<At<site::linear, adapters::Lora<>>, At<site::linear, adapters::Dora<>>,
                      At<site::linear, adapters::Pmss<>>, At<site::linear, adapters::Pissa<>>>;

/// The chosen parts as they are given, no others.
template <class... Ats>
[[nodiscard]] LowRank low_rank(const Ats&... chosen) {
  return chosen_parts<LowRank>(chosen...);
}

}  // namespace graft::test
