// SPDX-License-Identifier: Apache-2.0
// chosen_parts: a stack of many parts of which a test uses a few, so that tests share one compiled model run.
#pragma once

#include <tuple>

#include <graft/adapters/stack.hpp>

namespace graft::test {

/// The chosen parts as they are given, no others.
template <class StackType, class... Ats>
[[nodiscard]] StackType chosen_parts(const Ats&... chosen) {
  StackType stack;
  std::apply([](auto&... at) { ((at.placement.sites = site::none), ...); }, stack.parts);
  ((std::get<Ats>(stack.parts) = chosen), ...);
  return stack;
}

}  // namespace graft::test
