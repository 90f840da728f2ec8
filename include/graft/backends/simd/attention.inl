// SPDX-License-Identifier: Apache-2.0
// attention: softmax over one row of scores, of which [0, seen.sinks) and [seen.first, seen.end) are visible, and its gradient.
// A row has room for whole vectors: its end is rounded up to one, and what stands behind column n is nobody's.

/// All bits where a column of [j, j + width) is visible.
static inline Ints visible(Visible seen, Index j) {
  Ints column{};
  for (Index k = 0; k < width; ++k) {
    column[k] = static_cast<std::int32_t>(j + k);
  }
  const auto sinks = static_cast<std::int32_t>(seen.sinks);
  const auto first = static_cast<std::int32_t>(seen.first);
  const auto end = static_cast<std::int32_t>(seen.end);
  return (column < sinks) | ((column >= first) & (column < end));
}

/// s becomes exp(s - most), 0 where nothing is visible, in all n columns, where `most` grows to the largest of s; `total` grows by
/// the new sum. What was summed under the old `most` is to be multiplied by what is returned, as `total` was.
static float softmax_row(Visible seen, Index n, float* s, float& most, float& total) {
  Floats larger_lanes = all(most);
  for (Index j = 0; j < seen.end; j += width) {
    larger_lanes = larger(larger_lanes, visible(seen, j) ? load(s + j, width) : larger_lanes);
  }
  const float before = most;
  most = largest(larger_lanes);
  Floats sums{};
  for (Index j = 0; j < seen.end; j += width) {
    const Floats e = visible(seen, j) ? exp(load(s + j, width) - most) : Floats{};
    sums += e;
    store(e, s + j, width);
  }
  for (Index j = (seen.end + width - 1) / width * width; j < n; j += width) {
    store(Floats{}, s + j, width);
  }
  const float correction = most == before ? 1.0f : __builtin_expf(before - most);
  total = total * correction + sum(sums);
  return correction;
}

/// s becomes p = exp(s - lse) and dp becomes scale p (dp - delta); both 0 where nothing is visible.
static void softmax_vjp_row(Visible seen, Index n, float lse, float delta, float scale, float* s, float* dp) {
  for (Index j = 0; j < seen.end; j += width) {
    const Ints here = visible(seen, j);
    const Floats p = here ? exp(load(s + j, width) - lse) : Floats{};
    store(here ? scale * p * (load(dp + j, width) - delta) : Floats{}, dp + j, width);
    store(p, s + j, width);
  }
  for (Index j = (seen.end + width - 1) / width * width; j < n; j += width) {
    store(Floats{}, s + j, width);
    store(Floats{}, dp + j, width);
  }
}

static float dot_row(const float* a, const float* b, Index n) {
  Floats lanes{};
  for (Index j = 0; j < n; j += width) {
    lanes += load(a + j, n - j) * load(b + j, n - j);
  }
  return sum(lanes);
}
