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

/// The step in T, bias corrections done, for gradients times `scale`; rest is 1 - beta, taken in double: 1 - float(0.999) is off
/// by 1.3e-5.
template <std::floating_point T>
struct AdamWNumbers {
  T scale, shrink, beta1, beta2, rest1, rest2, size, root, epsilon;  ///< factors of the formula

  /// Rounded once from double.
  AdamWNumbers(const AdamWStep& step, T gradient_scale)
      : scale(gradient_scale),
        shrink(static_cast<T>(1.0 - step.rate * step.decay)),
        beta1(static_cast<T>(step.beta1)),
        beta2(static_cast<T>(step.beta2)),
        rest1(static_cast<T>(1.0 - step.beta1)),
        rest2(static_cast<T>(1.0 - step.beta2)),
        size(static_cast<T>(step.rate / (1.0 - std::pow(step.beta1, static_cast<double>(step.number))))),
        root(static_cast<T>(std::sqrt(1.0 - std::pow(step.beta2, static_cast<double>(step.number))))),
        epsilon(static_cast<T>(step.epsilon)) {}

  /// One number of each.
  GRAFT_HD void apply(T gradient, T& m, T& v, T& value) const {
    using std::sqrt;
    const T g = scale * gradient;
    m = beta1 * m + rest1 * g;
    v = beta2 * v + rest2 * g * g;
    value = shrink * value - size * m / (sqrt(v) / root + epsilon);
  }
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
  const AdamWNumbers<T> numbers(step, scale);
  for (Index i = 0; i < value.rows; ++i) {
    for (Index j = 0; j < value.cols; ++j) {
      numbers.apply(gradient(i, j), m(i, j), v(i, j), value(i, j));
    }
  }
}

}  // namespace graft::ops
