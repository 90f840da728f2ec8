// SPDX-License-Identifier: Apache-2.0
// operand: the one rounding on entry to a gemm. Where a precision computes in what it stores, nothing is copied.
#pragma once

#include <concepts>

#include <graft/core/precision.hpp>
#include <graft/core/view.hpp>

namespace graft {

/// x as the frozen weights' partner in a gemm: x itself, or x rounded into `scratch`.
template <precision P, class B>
[[nodiscard]] View<const typename P::Stored> operand(const B& be, View<const typename P::Computed> x,
                                                     View<typename P::Stored> scratch) {
  if constexpr (std::same_as<typename P::Stored, typename P::Computed>) {
    return x;
  } else {
    be.copy(x, scratch);
    return scratch;
  }
}

}  // namespace graft
