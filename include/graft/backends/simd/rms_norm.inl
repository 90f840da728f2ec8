// SPDX-License-Identifier: Apache-2.0
// rms_norm: y = x r (offset + gain) with r = 1/sqrt(mean(x^2) + eps), and its gradient.
static inline float inverse_rms(const float* x, Index n, double epsilon) {
  Floats squares{};
  for (Index j = 0; j < n; j += width) {
    const Floats lanes = load(x + j, n - j);
    squares += lanes * lanes;
  }
  return static_cast<float>(1.0 / __builtin_sqrt(static_cast<double>(sum(squares)) / static_cast<double>(n) + epsilon));
}

template <class G>
static void rms_norm(View<const G> gain, float offset, double epsilon, View<const float> x, View<float> y) {
  for (Index i = 0; i < x.rows; ++i) {
    const float* from = x.row(i);
    const float inverse = inverse_rms(from, x.cols, epsilon);
    for (Index j = 0; j < x.cols; j += width) {
      const Index left = x.cols - j;
      store(load(from + j, left) * inverse * (load(gain.data + j, left) + offset), y.row(i) + j, left);
    }
  }
}

template <class G>
static void rms_norm_vjp(View<const G> gain, float offset, double epsilon, View<const float> x, View<const float> dy,
                         View<float> dx) {
  for (Index i = 0; i < x.rows; ++i) {
    const float inverse = inverse_rms(x.row(i), x.cols, epsilon);
    Floats products{};
    for (Index j = 0; j < x.cols; j += width) {
      const Index left = x.cols - j;
      products += load(dy.row(i) + j, left) * (load(gain.data + j, left) + offset) * load(x.row(i) + j, left);
    }
    const float pull = sum(products) * inverse * inverse * inverse / static_cast<float>(x.cols);
    for (Index j = 0; j < x.cols; j += width) {
      const Index left = x.cols - j;
      const Floats h = load(dy.row(i) + j, left) * (load(gain.data + j, left) + offset);
      store(load(dx.row(i) + j, left) + h * inverse - load(x.row(i) + j, left) * pull, dx.row(i) + j, left);
    }
  }
}

/// dgain += the columns of dy x r, rows in order; inverse(T) holds r.
static void add_norm_gain(const float* inverse, View<const float> x, View<const float> dy, float* dgain) {
  for (Index j = 0; j < x.cols; j += width) {
    const Index left = x.cols - j;
    Floats total = load(dgain + j, left);
    for (Index i = 0; i < x.rows; ++i) {
      total += load(dy.row(i) + j, left) * load(x.row(i) + j, left) * inverse[i];
    }
    store(total, dgain + j, left);
  }
}
