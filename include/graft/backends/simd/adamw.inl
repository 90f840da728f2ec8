// SPDX-License-Identifier: Apache-2.0
// adamw: one step on n numbers; see ops/adamw.hpp for the formula, whose order of operations this keeps.
static inline Floats square_root(Floats x) {
  for (Index k = 0; k < width; ++k) {
    x[k] = __builtin_sqrtf(x[k]);
  }
  return x;
}

static void adamw_row(const AdamWNumbers& with, Index n, const float* gradient, float* m, float* v, float* value) {
  for (Index j = 0; j < n; j += width) {
    const Index left = n - j;
    const Floats g = with.scale * load(gradient + j, left);
    const Floats first = with.beta1 * load(m + j, left) + with.rest1 * g;
    const Floats second = with.beta2 * load(v + j, left) + with.rest2 * g * g;
    store(first, m + j, left);
    store(second, v + j, left);
    const Floats step = with.size * first / (square_root(second) / with.root + with.epsilon);
    store(with.shrink * load(value + j, left) - step, value + j, left);
  }
}
