// SPDX-License-Identifier: Apache-2.0
// elementwise: rows of n numbers that are converted, added, scaled or summed.
template <class A, class B>
static void copy_row(const A* from, Index n, B* onto) {
  for (Index j = 0; j < n; j += width) {
    store(load(from + j, n - j), onto + j, n - j);
  }
}

/// The numbers of two rows by turns, the first one's first; n is a multiple of `width`.
static void pair_rows(const bf16* first, const bf16* second, Index n, bf16* onto) {
  for (Index j = 0; j < n; j += width) {
    const Words both = load_bits(first + j, width) | load_bits(second + j, width) << 16;
    __builtin_memcpy(static_cast<void*>(onto + 2 * j), &both, sizeof both);
  }
}

template <class A>
static void add_row(float alpha, const A* x, Index n, float* y) {
  for (Index j = 0; j < n; j += width) {
    store(load(y + j, n - j) + alpha * load(x + j, n - j), y + j, n - j);
  }
}

static void rescale_row(const float* scale, const float* x, Index n, float* y) {
  for (Index j = 0; j < n; j += width) {
    const Index left = n - j;
    store(load(y + j, left) + (load(scale + j, left) - 1.0f) * load(x + j, left), y + j, left);
  }
}

static void scale_row(float alpha, Index n, float* y) {
  for (Index j = 0; j < n; j += width) {
    store(load(y + j, n - j) * alpha, y + j, n - j);
  }
}

static void multiply_row(const float* gain, const float* x, Index n, float* y) {
  for (Index j = 0; j < n; j += width) {
    store(load(gain + j, n - j) * load(x + j, n - j), y + j, n - j);
  }
}

static void fill_row(float value, Index n, float* y) {
  for (Index j = 0; j < n; j += width) {
    store(all(value), y + j, n - j);
  }
}

/// total += alpha times the column sums of y, rows in order.
static void add_columns(float alpha, View<const float> y, float* total) {
  for (Index j = 0; j < y.cols; j += width) {
    const Index left = y.cols - j;
    Floats lanes = load(total + j, left);
    for (Index i = 0; i < y.rows; ++i) {
      lanes += alpha * load(y.row(i) + j, left);
    }
    store(lanes, total + j, left);
  }
}

/// total += the column sums of x o y, rows in order.
static void add_dots(View<const float> x, View<const float> y, float* total) {
  for (Index j = 0; j < y.cols; j += width) {
    const Index left = y.cols - j;
    Floats lanes = load(total + j, left);
    for (Index i = 0; i < y.rows; ++i) {
      lanes += load(x.row(i) + j, left) * load(y.row(i) + j, left);
    }
    store(lanes, total + j, left);
  }
}

/// The sum of squares in double.
static double squares_of_row(const float* x, Index n) {
  Doubles lanes{};
  Index j = 0;
  for (; j + width / 2 <= n; j += width / 2) {
    HalfFloats some;
    __builtin_memcpy(&some, x + j, sizeof some);
    const Doubles wide = __builtin_convertvector(some, Doubles);
    lanes += wide * wide;
  }
  double total = 0;
  for (Index k = 0; k < width / 2; ++k) {
    total += lanes[k];
  }
  for (; j < n; ++j) {
    total += static_cast<double>(x[j]) * static_cast<double>(x[j]);
  }
  return total;
}
