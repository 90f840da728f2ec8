// SPDX-License-Identifier: Apache-2.0
// attention: softmax over one row of scores, of which [0, seen.sinks) and [seen.first, seen.end) are visible, and its gradient.
static inline Floats exp_run(float* s, Index begin, Index end, float shift, Floats total) {
  for (Index j = begin; j < end; j += width) {
    const Floats e = exp(load(s + j, end - j, -__builtin_inff()) - shift);
    total += e;
    store(e, s + j, end - j);
  }
  return total;
}

/// s becomes exp(s - max), 0 where nothing is visible, in all n columns; the sum is returned and lse = max + log(sum).
static float softmax_row(Visible seen, Index n, float* s, float& lse) {
  float most = largest(s + seen.first, seen.end - seen.first);
  if (seen.sinks > 0) {
    const float other = largest(s, seen.sinks);
    most = most > other ? most : other;
  }
  Floats lanes = exp_run(s, 0, seen.sinks, most, Floats{});
  lanes = exp_run(s, seen.first, seen.end, most, lanes);
  fill_row(0.0f, seen.first - seen.sinks, s + seen.sinks);
  fill_row(0.0f, n - seen.end, s + seen.end);
  const float total = sum(lanes);
  lse = most + __builtin_logf(total);
  return total;
}

static inline void softmax_vjp_run(float lse, float delta, float scale, Index begin, Index end, float* s, float* dp) {
  for (Index j = begin; j < end; j += width) {
    const Index left = end - j;
    const Floats p = exp(load(s + j, left) - lse);
    store(scale * p * (load(dp + j, left) - delta), dp + j, left);
    store(p, s + j, left);
  }
}

/// s becomes p = exp(s - lse) and dp becomes scale p (dp - delta); both 0 where nothing is visible.
static void softmax_vjp_row(Visible seen, Index n, float lse, float delta, float scale, float* s, float* dp) {
  softmax_vjp_run(lse, delta, scale, 0, seen.sinks, s, dp);
  softmax_vjp_run(lse, delta, scale, seen.first, seen.end, s, dp);
  fill_row(0.0f, seen.first - seen.sinks, s + seen.sinks);
  fill_row(0.0f, seen.first - seen.sinks, dp + seen.sinks);
  fill_row(0.0f, n - seen.end, s + seen.end);
  fill_row(0.0f, n - seen.end, dp + seen.end);
}

static float dot_row(const float* a, const float* b, Index n) {
  Floats lanes{};
  for (Index j = 0; j < n; j += width) {
    lanes += load(a + j, n - j) * load(b + j, n - j);
  }
  return sum(lanes);
}
