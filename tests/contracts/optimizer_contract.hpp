// SPDX-License-Identifier: Apache-2.0
// What every optimizer must prove: it goes downhill, a rate of nothing moves nothing, clipping scales the gradient, decay
// respects the parameters that refuse it, and its state is all that a resumed run needs.
#pragma once

#include <vector>

#include <graft/optimizer.hpp>

#include "support/catch.hpp"
#include "support/tensors.hpp"

namespace graft::test {

/// One parameter under an optimizer, on f(x) = |x - 3|^2 / 2.
template <class Optimizer>
struct OneParameter {
  Optimizer method;
  Parameter<double> p;
  typename Optimizer::template State<double> state;

  OneParameter(Optimizer chosen, bool decays) : method(chosen), p(2, 5, decays), state(method.start(p)) {
    fill_normal(p.value, 4);
  }
  void step(double rate, double scale, Index number) {
    for (Index i = 0; i < p.value.rows; ++i) {
      for (Index j = 0; j < p.value.cols; ++j) {
        p.gradient(i, j) = p.value(i, j) - 3;
      }
    }
    method.step(backends::Reference{}, p, state, rate, scale, number);
  }
  [[nodiscard]] double distance() const {
    double sum = 0;
    for (Index i = 0; i < p.value.rows; ++i) {
      for (Index j = 0; j < p.value.cols; ++j) {
        sum += std::abs(p.value(i, j) - 3);
      }
    }
    return sum;
  }
};

/// `plain` has no decay, `decaying` differs in that only.
template <class Optimizer>
void optimizer_contract(Optimizer plain, Optimizer decaying) {
  SECTION("it reaches the minimum") {
    OneParameter one(plain, true);
    const double before = one.distance();
    for (Index t = 1; t <= 400; ++t) {
      one.step(0.05, 1, t);
    }
    CHECK(one.distance() < 0.02 * before);
  }
  SECTION("a rate of nothing moves nothing") {
    OneParameter one(decaying, true);
    const Tensor<double> before = one.p.storage.clone();
    one.step(0, 1, 1);
    CHECK(identical(View<const double>(one.p.value), before.view()));
  }
  SECTION("decay shrinks what decays and spares what does not") {
    OneParameter with(decaying, true);
    OneParameter spared(decaying, false);
    OneParameter without(plain, true);
    with.step(0.01, 1, 1);
    spared.step(0.01, 1, 1);
    without.step(0.01, 1, 1);
    CHECK(identical(spared.p.value, without.p.value));
    CHECK(relative_error(with.p.value, without.p.value) > 1e-5);
  }
  SECTION("scaling the gradient is a step along the scaled gradient") {
    OneParameter scaled(plain, true);
    OneParameter expected(plain, true);
    const backends::Reference be;
    scaled.step(0.01, 0.25, 1);
    for (Index i = 0; i < 2; ++i) {
      for (Index j = 0; j < 5; ++j) {
        expected.p.gradient(i, j) = 0.25 * (expected.p.value(i, j) - 3);
      }
    }
    expected.method.step(be, expected.p, expected.state, 0.01, 1.0, 1);
    CHECK(relative_error(scaled.p.value, expected.p.value) < 1e-15);
  }
  SECTION("value and state are all that the next steps need") {
    OneParameter whole(decaying, true);
    for (Index t = 1; t <= 3; ++t) {
      whole.step(0.05, 1, t);
    }
    OneParameter resumed(decaying, true);
    const backends::Reference be;
    be.copy(whole.p.value, resumed.p.value);
    std::vector<Tensor<double>*> from;
    whole.state.for_each_tensor([&](const char*, Tensor<double>& tensor) { from.push_back(&tensor); });
    std::size_t i = 0;
    resumed.state.for_each_tensor([&](const char*, Tensor<double>& tensor) { tensor = from[i++]->clone(); });
    CHECK(i == from.size());
    whole.step(0.05, 1, 4);
    resumed.step(0.05, 1, 4);
    CHECK(identical(whole.p.value, resumed.p.value));
  }
}

}  // namespace graft::test
