// SPDX-License-Identifier: Apache-2.0
// optimizer: moves parameters along their gradients; it keeps whatever state it needs for each, in the order it meets them.
#pragma once

#include <string_view>

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

/// The state of a parameter at the start of training. An optimizer that treats parameters by their names has
/// start(name, parameter) beside start(parameter), and is asked that.
template <class O, scalar T>
[[nodiscard]] auto start_state(const O& method, std::string_view name, const Parameter<T>& parameter) {
  if constexpr (requires { method.start(name, parameter); }) {
    return method.start(name, parameter);
  } else {
    return method.start(parameter);
  }
}

}  // namespace graft
