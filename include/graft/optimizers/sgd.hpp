// SPDX-License-Identifier: Apache-2.0
// Sgd: value -= rate (gradient + decay value), with momentum as torch has it: u = momentum u + gradient, value -= rate u.
#pragma once

#include <graft/optimizer.hpp>

namespace graft::optimizers {

/// Plain or with momentum; without it no state is kept.
struct Sgd {
  double momentum = 0;  ///< 0 = none
  double decay = 0;     ///< added to the gradient, times the value

  /// The sum of gradients that momentum moves along.
  template <scalar T>
  struct State {
    Tensor<T> u;  ///< shaped as the parameter, or empty

    /// Calls visit(name, tensor) for what a checkpoint must carry.
    template <class Visitor>
    void for_each_tensor(Visitor&& visit) {
      visit("u", u);
    }
  };

  /// u at zero, or empty without momentum.
  template <scalar T>
  [[nodiscard]] State<T> start(const Parameter<T>& p) const {
    return {momentum != 0 ? Tensor<T>(p.value.rows, p.value.cols) : Tensor<T>()};
  }
  /// Moves the parameter at its own pace; its gradient is spent.
  template <class B, scalar T>
  void step(const B& be, Parameter<T>& p, State<T>& state, double rate, T scale, Index) const {
    const auto number = [](double value) { return T(static_cast<real_type<T>>(value)); };
    const View<T> gradient = p.gradient.view();
    be.scale(scale, gradient);
    if (p.decays && decay != 0) {
      be.add(number(decay), p.value, gradient);
    }
    if (momentum != 0) {
      be.scale(number(momentum), state.u.view());
      be.add(1, gradient, state.u.view());
    }
    be.add(number(-rate * p.pace), momentum != 0 ? state.u.view() : gradient, p.value);
  }
};

static_assert(optimizer<Sgd>);

}  // namespace graft::optimizers
