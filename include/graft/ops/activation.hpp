// SPDX-License-Identifier: Apache-2.0
// activation: f(x) and its slope, alone or as a gate: a = f(gate) * up, the middle of a feed-forward layer (Shazeer, "GLU
// variants improve transformer", 2020).
#pragma once

#include <cmath>
#include <string_view>

#include <graft/base/require.hpp>
#include <graft/core/scalar.hpp>
#include <graft/core/view.hpp>

namespace graft::ops {

/// silu: x sigmoid(x) (SwiGLU, LLaMA). gelu_tanh: x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) (GeGLU, Gemma). relu:
/// max(x, 0), with slope 0 at 0. linear: x.
enum class Activation { silu, gelu_tanh, relu, tanh, linear };

/// Hugging Face's name of an activation.
[[nodiscard]] constexpr std::string_view activation_name(Activation kind) {
  constexpr std::string_view names[] = {"silu", "gelu_pytorch_tanh", "relu", "tanh", "linear"};
  return names[static_cast<int>(kind)];
}

/// f(x) and f'(x).
template <scalar T>
struct ActivationValue {
  T value;  ///< f(x)
  T slope;  ///< f'(x)
};

/// f(x) and f'(x) of one element.
template <scalar T>
[[nodiscard]] GRAFT_HD ActivationValue<T> activate(Activation kind, T x) {
  using std::exp;
  using std::tanh;
  using R = real_type<T>;
  switch (kind) {
    case Activation::silu: {
      const T sigmoid = T(1) / (T(1) + exp(-x));
      return {x * sigmoid, sigmoid * (T(1) + x * (T(1) - sigmoid))};
    }
    case Activation::relu: return real_part(x) > R(0) ? ActivationValue<T>{x, T(1)} : ActivationValue<T>{T(0), T(0)};
    case Activation::tanh: {
      const T t = tanh(x);
      return {t, T(1) - t * t};
    }
    case Activation::linear: return {x, T(1)};
    case Activation::gelu_tanh: break;
  }
  const R root = R(0.79788456080286535588);  // sqrt(2 / pi)
  const R cubic = R(0.044715);
  const T t = tanh(root * (x + cubic * x * x * x));
  const T inner = root * (T(1) + R(3) * cubic * x * x);
  return {R(0.5) * x * (T(1) + t), R(0.5) * (T(1) + t) + R(0.5) * x * (T(1) - t * t) * inner};
}

/// y = f(x), both (T,N); y may be x.
template <scalar T>
void activation(Activation kind, In<T> x, View<T> y) {
  require(x.rows == y.rows && x.cols == y.cols, "shape.124", "activation: x(T,N) and y(T,N) disagree");
  for (Index i = 0; i < y.rows; ++i) {
    for (Index j = 0; j < y.cols; ++j) {
      y(i, j) = activate(kind, x(i, j)).value;
    }
  }
}

/// dx = dy f'(x), overwritten; dx may be x or dy.
template <scalar T>
void activation_vjp(Activation kind, In<T> x, In<T> dy, View<T> dx) {
  require(x.rows == dx.rows && x.cols == dx.cols && dy.rows == dx.rows && dy.cols == dx.cols, "shape.124",
          "activation_vjp: x(T,N), dy(T,N) and dx(T,N) disagree");
  for (Index i = 0; i < dx.rows; ++i) {
    for (Index j = 0; j < dx.cols; ++j) {
      dx(i, j) = dy(i, j) * activate(kind, x(i, j)).slope;
    }
  }
}

/// gate(T,F), up(T,F) => a(T,F).
template <scalar T>
void gated_activation(Activation kind, In<T> gate, In<T> up, View<T> a) {
  require(gate.rows == up.rows && gate.cols == up.cols && a.rows == up.rows && a.cols == up.cols, "shape.124",
          "gated_activation: gate(T,F), up(T,F) and a(T,F) disagree");
  for (Index i = 0; i < a.rows; ++i) {
    for (Index j = 0; j < a.cols; ++j) {
      a(i, j) = activate(kind, gate(i, j)).value * up(i, j);
    }
  }
}

/// dgate = da up f'(gate), dup = da f(gate); dgate and dup are overwritten, and either may be da itself.
template <scalar T>
void gated_activation_vjp(Activation kind, In<T> gate, In<T> up, In<T> da, View<T> dgate, View<T> dup) {
  const auto fits = [&](const auto& x) { return x.rows == da.rows && x.cols == da.cols; };
  require(fits(gate) && fits(up) && fits(dgate) && fits(dup), "shape.124",
          "gated_activation_vjp: gate(T,F), up(T,F), da(T,F), dgate(T,F) and dup(T,F) disagree");
  for (Index i = 0; i < da.rows; ++i) {
    for (Index j = 0; j < da.cols; ++j) {
      const auto f = activate(kind, gate(i, j));
      const T d = da(i, j);
      dgate(i, j) = d * up(i, j) * f.slope;
      dup(i, j) = d * f.value;
    }
  }
}

}  // namespace graft::ops
