// SPDX-License-Identifier: Apache-2.0
// optimizer: moves parameters along their gradients; it keeps whatever state it needs for each, in the order it meets them.
#pragma once

#include <vector>

#include <graft/backend.hpp>
#include <graft/core/parameter.hpp>

namespace graft {

/// `step` moves one parameter: `slot` is its place in the walk, `rate` the schedule's, `scale` multiplies the gradient
/// (clipping), `number` counts steps from 1. `State` is what a checkpoint must carry: tensors, a fixed number a parameter.
template <class O, class T = float>
concept optimizer = requires(const O& method, const backends::Reference& be, typename O::template State<T>& state,
                             Parameter<T>& parameter, double rate, T scale, Index number) {
  { method.start(parameter) } -> std::same_as<typename O::template State<T>>;
  method.step(be, parameter, state, rate, scale, number);
};

}  // namespace graft
