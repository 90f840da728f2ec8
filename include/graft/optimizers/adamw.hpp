// SPDX-License-Identifier: Apache-2.0
// AdamW: Adam with decoupled weight decay. Loshchilov and Hutter, "Decoupled weight decay regularization", 2019.
#pragma once

#include <graft/optimizer.hpp>

namespace graft::optimizers {

/// The default of every paper here: beta 0.9 and 0.999, epsilon 1e-8. Decay skips parameters that must not shrink.
struct AdamW {
  double beta1 = 0.9;     ///< of the first moment
  double beta2 = 0.999;   ///< of the second moment
  double epsilon = 1e-8;  ///< beside the root of the second moment
  double decay = 0;       ///< decoupled: shrinks the value by rate * decay

  /// First and second moment of the gradient.
  template <scalar T>
  struct State {
    Tensor<T> m, v;  ///< shaped as the parameter

    /// Calls visit(name, tensor) for what a checkpoint must carry.
    template <class Visitor>
    void for_each_tensor(Visitor&& visit) {
      visit("m", m);
      visit("v", v);
    }
  };

  /// Both moments at zero.
  template <scalar T>
  [[nodiscard]] State<T> start(const Parameter<T>& p) const {
    return {Tensor<T>(p.value.rows, p.value.cols), Tensor<T>(p.value.rows, p.value.cols)};
  }
  /// ops::adamw at the parameter's own pace.
  template <class B, scalar T>
  void step(const B& be, Parameter<T>& p, State<T>& state, double rate, T scale, Index number) const {
    be.adamw(ops::AdamWStep{rate * p.pace, beta1, beta2, epsilon, p.decays ? decay : 0.0, number}, scale,
             p.gradient.view(), state.m.view(), state.v.view(), p.value);
  }
};

static_assert(optimizer<AdamW>);

}  // namespace graft::optimizers
