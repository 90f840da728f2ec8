// SPDX-License-Identifier: Apache-2.0
#include <graft/optimizer.hpp>

#include "support/catch.hpp"

using namespace graft;

namespace {

/// The least that an optimizer is: a step along the sign of the gradient, without state.
struct Sign {
  template <scalar T>
  struct State {};
  template <scalar T>
  State<T> start(const Parameter<T>&) const {
    return {};
  }
  template <class B, scalar T>
  void step(const B&, Parameter<T>& p, State<T>&, double rate, T, Index) const {
    for (Index i = 0; i < p.value.rows; ++i) {
      for (Index j = 0; j < p.value.cols; ++j) {
        p.value(i, j) -= T(p.gradient(i, j) > 0 ? rate : -rate);
      }
    }
  }
};
struct WithoutState {
  template <class B, class P, class S, class T>
  void step(const B&, P&, S&, double, T, Index) const {}
};
struct WithoutStep : Sign {
  void step() = delete;
};
struct OtherState : Sign {
  template <scalar T>
  int start(const Parameter<T>&) const {
    return 0;
  }
};

}  // namespace

TEST_CASE("an optimizer starts a state for a parameter and moves the parameter with it") {
  STATIC_REQUIRE(optimizer<Sign>);
  STATIC_REQUIRE(optimizer<Sign, double>);
  STATIC_REQUIRE_FALSE(optimizer<WithoutState>);
  STATIC_REQUIRE_FALSE(optimizer<WithoutStep>);
  STATIC_REQUIRE_FALSE(optimizer<OtherState>);
  STATIC_REQUIRE_FALSE(optimizer<int>);
}
