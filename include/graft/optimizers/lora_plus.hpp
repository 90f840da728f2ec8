// SPDX-License-Identifier: Apache-2.0
// LoraPlus: an optimizer that gives LoRA's B a rate of its own. Hayou et al., "LoRA+", arXiv 2402.12354.
#pragma once

#include <string_view>

#include <graft/optimizers/adamw.hpp>

namespace graft::optimizers {

/// A rate that A(r,M) bears lets B(N,r) learn too slowly, the more so the wider the model. Parameters whose name
/// ends in "lora_B.weight" go at `ratio` times the schedule's rate (their decay with it), all others at the rate itself.
template <optimizer Base = AdamW>
struct LoraPlus {
  Base base{};        ///< moves the parameters
  double ratio = 16;  ///< of B's rate to A's; the paper's choice

  /// The base's, and the factor of this parameter's rate.
  template <scalar T>
  struct State {
    typename Base::template State<T> base;  ///< what the base keeps
    double factor = 1;                      ///< 1, or `ratio`

    /// Calls visit(name, tensor) for what a checkpoint must carry; the factor follows from the name.
    template <class Visitor>
    void for_each_tensor(Visitor&& visit) {
      base.for_each_tensor(visit);
    }
  };

  /// A parameter without a name goes at the rate itself.
  template <scalar T>
  [[nodiscard]] State<T> start(const Parameter<T>& p) const {
    return {base.start(p), 1.0};
  }
  /// The factor is chosen here, once.
  template <scalar T>
  [[nodiscard]] State<T> start(std::string_view name, const Parameter<T>& p) const {
    return {base.start(p), name.ends_with("lora_B.weight") ? ratio : 1.0};
  }
  /// The base's step at `rate` times the factor.
  template <class B, scalar T>
  void step(const B& be, Parameter<T>& p, State<T>& state, double rate, T scale, Index number) const {
    base.step(be, p, state.base, rate * state.factor, scale, number);
  }
};

static_assert(optimizer<LoraPlus<>>);

}  // namespace graft::optimizers
