// SPDX-License-Identifier: Apache-2.0
// ChosenOptimizer and ChosenSchedule: the library's optimizers and schedules, one of them picked at run time.
#pragma once

#include <graft/optimizers/adamw.hpp>
#include <graft/optimizers/sgd.hpp>
#include <graft/schedules/constant.hpp>
#include <graft/schedules/cosine.hpp>
#include <graft/schedules/linear.hpp>
#include <graft/schedules/warm_up.hpp>

#include "engine.hpp"

namespace graft::program {

/// AdamW or SGD; the state of the other stays empty.
struct ChosenOptimizer {
  bool is_sgd = false;
  optimizers::AdamW adamw;
  optimizers::Sgd sgd;

  template <scalar T>
  struct State {
    optimizers::AdamW::State<T> adamw;
    optimizers::Sgd::State<T> sgd;

    template <class Visitor>
    void for_each_tensor(Visitor&& visit) {
      adamw.for_each_tensor(visit);
      sgd.for_each_tensor(visit);
    }
  };

  template <scalar T>
  [[nodiscard]] State<T> start(const Parameter<T>& p) const {
    State<T> state;
    if (is_sgd) {
      state.sgd = sgd.start(p);
    } else {
      state.adamw = adamw.start(p);
    }
    return state;
  }
  template <class B, scalar T>
  void step(const B& be, Parameter<T>& p, State<T>& state, double rate, T scale, Index number) const {
    if (is_sgd) {
      sgd.step(be, p, state.sgd, rate, scale, number);
    } else {
      adamw.step(be, p, state.adamw, rate, scale, number);
    }
  }
};

/// A rate that climbs for `warmup` steps and then stays, falls in a line, or falls in a cosine.
struct ChosenSchedule {
  RateShape shape = RateShape::linear;
  Index warmup = 0;
  double lowest = 0;

  [[nodiscard]] double factor(Index step, Index total) const {
    switch (shape) {
      case RateShape::constant: return schedules::WarmUp{warmup, schedules::Constant{}}.factor(step, total);
      case RateShape::linear: return schedules::WarmUp{warmup, schedules::Linear{}}.factor(step, total);
      default: return schedules::WarmUp{warmup, schedules::Cosine{lowest}}.factor(step, total);
    }
  }
};

static_assert(optimizer<ChosenOptimizer> && schedule<ChosenSchedule>);

}  // namespace graft::program
