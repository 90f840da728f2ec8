// SPDX-License-Identifier: Apache-2.0
// LowRank: what writes as a low-rank update, in one stack, so that its tests compile one model run.
#pragma once

#include <tuple>

#include <graft/adapters/dora.hpp>
#include <graft/adapters/lora.hpp>
#include <graft/adapters/pissa.hpp>
#include <graft/adapters/pmss.hpp>
#include <graft/adapters/stack.hpp>

namespace graft::test {

using LowRank = Stack<At<site::linear, adapters::Lora<>>, At<site::linear, adapters::Dora<>>,
                      At<site::linear, adapters::Pmss<>>, At<site::linear, adapters::Pissa<>>>;

/// The chosen parts as they are given, no others.
template <class... Ats>
[[nodiscard]] LowRank low_rank(const Ats&... chosen) {
  LowRank stack;
  std::apply([](auto&... at) { ((at.placement.sites = site::none), ...); }, stack.parts);
  ((std::get<Ats>(stack.parts) = chosen), ...);
  return stack;
}

}  // namespace graft::test
