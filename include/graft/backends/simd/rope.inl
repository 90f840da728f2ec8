// SPDX-License-Identifier: Apache-2.0
// rope: (a, b) <- (a c - b s, b c + a s) for the pairs (i, i + K/2) of every head; `sign` -1 turns back.
static void rope(float sign, View<const float> rotations, View<float> x) {
  const Index half = rotations.cols / 2;
  for (Index t = 0; t < x.rows; ++t) {
    const float* cosine = rotations.row(t);
    const float* sine = cosine + half;
    for (Index head = 0; head < x.cols; head += rotations.cols) {
      float* low = x.row(t) + head;
      float* high = low + half;
      for (Index i = 0; i < half; i += width) {
        const Index left = half - i;
        const Floats c = load(cosine + i, left);
        const Floats s = load(sine + i, left) * sign;
        const Floats a = load(low + i, left);
        const Floats b = load(high + i, left);
        store(a * c - b * s, low + i, left);
        store(b * c + a * s, high + i, left);
      }
    }
  }
}
