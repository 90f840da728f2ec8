// SPDX-License-Identifier: Apache-2.0
// rms_norm: y = x / sqrt(mean(x^2) + eps) * (offset + gain), row by row.
// Zhang and Sennrich, "Root mean square layer normalization", 2019; offset 1 is Gemma's (1 + w).
#pragma once

#include <cmath>

#include <graft/base/require.hpp>
#include <graft/core/scalar.hpp>
#include <graft/core/view.hpp>

namespace graft::ops {

/// The gain (1,D) of a norm, what is added to it, and the epsilon under the root.
template <storable G>
struct RmsNorm {
  View<const G> gain;     ///< (1,D)
  double epsilon = 1e-5;  ///< under the root
  double offset = 0;      ///< added to the gain: 1 for Gemma
};

namespace detail {
template <scalar T>
[[nodiscard]] T inverse_rms(const T* x, Index n, double epsilon) {
  using std::sqrt;
  T sum{};
  for (Index j = 0; j < n; ++j) {
    sum += x[j] * x[j];
  }
  return T(1) / sqrt(sum / T(static_cast<real_type<T>>(n)) + T(static_cast<real_type<T>>(epsilon)));
}
template <scalar T, storable G>
[[nodiscard]] GRAFT_HD T gain_at(const RmsNorm<G>& norm, Index j) {
  return T(static_cast<real_type<T>>(norm.offset)) + to<T>(norm.gain(0, j));
}
}  // namespace detail

/// x(T,D) => y(T,D).
template <scalar T, storable G>
void rms_norm(const RmsNorm<G>& norm, In<T> x, View<T> y) {
  require(x.cols == norm.gain.cols && y.cols == x.cols && y.rows == x.rows, "shape.121",
          "rms_norm: x(T,D), y(T,D) and gain(1,D) disagree");
  for (Index i = 0; i < x.rows; ++i) {
    const T inverse = detail::inverse_rms(x.row(i), x.cols, norm.epsilon);
    for (Index j = 0; j < x.cols; ++j) {
      y(i, j) = x(i, j) * inverse * detail::gain_at<T>(norm, j);
    }
  }
}

/// dx += J' dy: with r = 1/rms and h = dy (offset + gain), dx = r h - x r^3 <h, x> / D.
template <scalar T, storable G>
void rms_norm_vjp(const RmsNorm<G>& norm, In<T> x, In<T> dy, View<T> dx) {
  require(x.cols == norm.gain.cols && dy.cols == x.cols && dx.cols == x.cols && dy.rows == x.rows && dx.rows == x.rows,
          "shape.121", "rms_norm_vjp: x(T,D), dy(T,D), dx(T,D) and gain(1,D) disagree");
  for (Index i = 0; i < x.rows; ++i) {
    const T inverse = detail::inverse_rms(x.row(i), x.cols, norm.epsilon);
    T dot{};
    for (Index j = 0; j < x.cols; ++j) {
      dot += dy(i, j) * detail::gain_at<T>(norm, j) * x(i, j);
    }
    const T pull = dot * inverse * inverse * inverse / T(static_cast<real_type<T>>(x.cols));
    for (Index j = 0; j < x.cols; ++j) {
      dx(i, j) += dy(i, j) * detail::gain_at<T>(norm, j) * inverse - x(i, j) * pull;
    }
  }
}

/// dgain += sum over rows of dy x / rms(x); rows are added in order.
template <scalar T>
void rms_norm_gain_vjp(double epsilon, In<T> x, In<T> dy, View<T> dgain) {
  require(dy.rows == x.rows && dy.cols == x.cols && dgain.cols == x.cols, "shape.121",
          "rms_norm_gain_vjp: x(T,D), dy(T,D) and dgain(1,D) disagree");
  for (Index i = 0; i < x.rows; ++i) {
    const T inverse = detail::inverse_rms(x.row(i), x.cols, epsilon);
    for (Index j = 0; j < x.cols; ++j) {
      dgain(0, j) += dy(i, j) * x(i, j) * inverse;
    }
  }
}

}  // namespace graft::ops
