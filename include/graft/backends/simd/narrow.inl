// SPDX-License-Identifier: Apache-2.0
// narrow: c = alpha a b' + beta c for a few rows of a, as in a decode step. Bound by reading b, which is read once: four rows
// of it stay in the first cache while every row of a meets them (benchmark: train_step_bench, decode).

/// Numbers that add_products takes at once.
template <class A, class W>
static constexpr Index at_once = std::same_as<A, bf16> && std::same_as<W, bf16> ? 2 * width : width;

template <class A, class W>
static inline Floats add_products(Floats sums, const A* x, const W* w) {
  return sums + load(x, width) * load(w, width);
}
/// A word of two bf16 is one of them when shifted, the other when masked: no number has to move to another lane.
static inline Floats add_products(Floats sums, const bf16* x, const bf16* w) {
  Words a;
  Words b;
  __builtin_memcpy(&a, x, sizeof a);
  __builtin_memcpy(&b, w, sizeof b);
  sums += __builtin_bit_cast(Floats, a << 16) * __builtin_bit_cast(Floats, b << 16);
  return sums + __builtin_bit_cast(Floats, a & 0xffff0000u) * __builtin_bit_cast(Floats, b & 0xffff0000u);
}

template <class A, class W>
static void narrow_nt(float alpha, View<const A> a, View<const W> b, float beta, View<float> c) {
  constexpr Index step = at_once<A, W>;
  const Index whole = a.cols / step * step;
  const Index last = b.rows - 1;
  const Index ahead =
      4 * b.stride;  // the next rows: four short streams at once are too many for the processor to foresee
  for (Index n = 0; n < b.rows; n += 4) {
    const W* const b0 = b.row(n);
    const W* const b1 = b.row(n + 1 < last ? n + 1 : last);
    const W* const b2 = b.row(n + 2 < last ? n + 2 : last);
    const W* const b3 = b.row(n + 3 < last ? n + 3 : last);
    for (Index m = 0; m < a.rows; ++m) {
      const A* const x = a.row(m);
      Floats s0{}, s1{}, s2{}, s3{};
      for (Index j = 0; j < whole; j += step) {
        for (const W* const row : {b0, b1, b2, b3}) {
          __builtin_prefetch(row + j + ahead);
        }
        s0 = add_products(s0, x + j, b0 + j);
        s1 = add_products(s1, x + j, b1 + j);
        s2 = add_products(s2, x + j, b2 + j);
        s3 = add_products(s3, x + j, b3 + j);
      }
      for (Index j = whole; j < a.cols; j += width) {
        const Index left = a.cols - j;
        const Floats lanes = load(x + j, left);
        s0 += lanes * load(b0 + j, left);
        s1 += lanes * load(b1 + j, left);
        s2 += lanes * load(b2 + j, left);
        s3 += lanes * load(b3 + j, left);
      }
      const float sums[] = {sum(s0), sum(s1), sum(s2), sum(s3)};
      for (Index r = 0; r < 4 && n + r < b.rows; ++r) {
        float& entry = c(m, n + r);
        entry = alpha * sums[r] + (beta == 0.0f ? 0.0f : beta * entry);
      }
    }
  }
}
