// SPDX-License-Identifier: Apache-2.0
// gated activation: a = f(gate) up. Both f are x sigmoid(u): u = x for silu, and for gelu_tanh, since
// (1 + tanh(z)) / 2 = sigmoid(2 z), u = 2 sqrt(2/pi) (x + 0.044715 x^3).
static inline Floats sigmoid(Floats x) {
  return 1.0f / (1.0f + exp(-x));
}

static inline Floats gate_argument(ops::Activation kind, Floats x) {
  return kind == ops::Activation::silu ? x : 1.59576912160573071f * (x + 0.044715f * x * x * x);
}
static inline Floats gate_argument_slope(ops::Activation kind, Floats x) {
  return kind == ops::Activation::silu ? all(1.0f) : 1.59576912160573071f * (1.0f + 0.134145f * x * x);
}

static void gated_activation(ops::Activation kind, View<const float> gate, View<const float> up, View<float> a) {
  for (Index i = 0; i < a.rows; ++i) {
    for (Index j = 0; j < a.cols; j += width) {
      const Index left = a.cols - j;
      const Floats x = load(gate.row(i) + j, left);
      store(x * sigmoid(gate_argument(kind, x)) * load(up.row(i) + j, left), a.row(i) + j, left);
    }
  }
}

static void gated_activation_vjp(ops::Activation kind, View<const float> gate, View<const float> up,
                                 View<const float> da, View<float> dgate, View<float> dup) {
  for (Index i = 0; i < da.rows; ++i) {
    for (Index j = 0; j < da.cols; j += width) {
      const Index left = da.cols - j;
      const Floats x = load(gate.row(i) + j, left);
      const Floats y = load(up.row(i) + j, left);
      const Floats d = load(da.row(i) + j, left);
      const Floats s = sigmoid(gate_argument(kind, x));
      const Floats slope = s * (1.0f + x * (1.0f - s) * gate_argument_slope(kind, x));
      store(d * y * slope, dgate.row(i) + j, left);
      store(d * x * s, dup.row(i) + j, left);
    }
  }
}
