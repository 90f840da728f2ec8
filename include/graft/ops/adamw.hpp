// SPDX-License-Identifier: Apache-2.0
// adamw: Adam with decoupled weight decay (Loshchilov and Hutter, 2019), in torch's order of operations.
#pragma once

#include <cmath>
#include <concepts>

#include <graft/base/require.hpp>
#include <graft/core/view.hpp>

namespace graft::ops {

/// What one step needs: rates of the method, and the number of the step (from 1) for the bias corrections.
struct AdamWStep {
  double rate = 1e-3;     ///< after schedule and pace
  double beta1 = 0.9;     ///< of m
  double beta2 = 0.999;   ///< of v
  double epsilon = 1e-8;  ///< beside the root of v^
  double decay = 0;       ///< decoupled: shrinks the value by rate * decay
  Index number = 1;       ///< of the step, from 1
};

namespace detail {
template <std::floating_point T>
void check_adamw(View<const T> gradient, View<const T> m, View<const T> v, View<const T> value) {
  const auto fits = [&](View<const T> x) { return x.rows == value.rows && x.cols == value.cols; };
  require(fits(gradient) && fits(m) && fits(v), "shape.131", "adamw: gradient, m, v and value disagree");
}
}  // namespace detail

/// value -= rate decay value; m, v: moving moments of scale * gradient; value -= rate m^ / (sqrt(v^) + epsilon).
template <std::floating_point T>
void adamw(const AdamWStep& step, Same<T> scale, In<T> gradient, View<T> m, View<T> v, View<T> value) {
  detail::check_adamw<T>(gradient, m, v, value);
  const T shrink = static_cast<T>(1.0 - step.rate * step.decay);
  const T b1 = static_cast<T>(step.beta1);
  const T b2 = static_cast<T>(step.beta2);
  const T a1 = static_cast<T>(1.0 - step.beta1);  // in double: 1 - float(0.999) is off by 1.3e-5
  const T a2 = static_cast<T>(1.0 - step.beta2);
  const auto n = static_cast<double>(step.number);
  const T size = static_cast<T>(step.rate / (1.0 - std::pow(step.beta1, n)));
  const T root = static_cast<T>(std::sqrt(1.0 - std::pow(step.beta2, n)));
  const T epsilon = static_cast<T>(step.epsilon);
  for (Index i = 0; i < value.rows; ++i) {
    for (Index j = 0; j < value.cols; ++j) {
      const T g = scale * gradient(i, j);
      m(i, j) = b1 * m(i, j) + a1 * g;
      v(i, j) = b2 * v(i, j) + a2 * g * g;
      value(i, j) = shrink * value(i, j) - size * m(i, j) / (std::sqrt(v(i, j)) / root + epsilon);
    }
  }
}

}  // namespace graft::ops
