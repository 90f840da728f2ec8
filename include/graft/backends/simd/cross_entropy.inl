// SPDX-License-Identifier: Apache-2.0
// cross_entropy: nll = log(sum exp(logits - max)) + max - logits[label], the logits becoming scale (softmax - onehot).
// Lanes are added up in double every 1024 columns: over 49,152 classes float alone would lose the digits that a loss shows.
static inline float largest(const float* x, Index n) {
  Floats most = all(x[0]);
  for (Index j = 0; j < n; j += width) {
    most = larger(load(x + j, n - j, x[0]), most);
  }
  return largest(most);
}

/// The sum of exp(x - shift); with `keep` the summands replace x.
static inline double sum_of_exp(float* x, Index n, float shift, bool keep) {
  double total = 0;
  for (Index begin = 0; begin < n; begin += 1024) {
    const Index end = n - begin > 1024 ? begin + 1024 : n;
    Floats part{};
    for (Index j = begin; j < end; j += width) {
      const Floats e = exp(load(x + j, end - j, -__builtin_inff()) - shift);
      part += e;
      if (keep) {
        store(e, x + j, end - j);
      }
    }
    total += static_cast<double>(sum(part));
  }
  return total;
}

static void cross_entropy(View<float> logits, const std::int32_t* labels, float scale, View<float> nll) {
  for (Index i = 0; i < logits.rows; ++i) {
    float* x = logits.row(i);
    const float most = largest(x, logits.cols);
    const double target = static_cast<double>(x[labels[i]]);
    const double total = sum_of_exp(x, logits.cols, most, scale != 0.0f);
    nll(i, 0) = static_cast<float>(__builtin_log(total) + (static_cast<double>(most) - target));
    if (scale != 0.0f) {
      const auto factor = static_cast<float>(static_cast<double>(scale) / total);
      for (Index j = 0; j < logits.cols; j += width) {
        store(load(x + j, logits.cols - j) * factor, x + j, logits.cols - j);
      }
      x[labels[i]] -= scale;
    }
  }
}
