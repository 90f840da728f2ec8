// SPDX-License-Identifier: Apache-2.0
// lanes: `width` floats side by side. Loads and stores of `count` numbers (all of them where count >= width), sums over
// the lanes, and exp (Cephes' polynomial on [-ln 2 / 2, ln 2 / 2], 1 ulp; subnormal results and both limits are exact).
using Floats [[gnu::vector_size(width * 4)]] = float;
using Ints [[gnu::vector_size(width * 4)]] = std::int32_t;
using Words [[gnu::vector_size(width * 4)]] = std::uint32_t;
using Halves [[gnu::vector_size(width * 2)]] = std::uint16_t;
using HalfFloats [[gnu::vector_size(width * 2)]] = float;  // half as many floats,
using Doubles [[gnu::vector_size(width * 4)]] = double;    // and the same numbers in double

static inline Floats all(float value) {
  return Floats{} + value;
}

static inline Floats load(const float* from, Index count, float otherwise = 0.0f) {
  Floats lanes;
  if (count >= width) {
    __builtin_memcpy(&lanes, from, sizeof lanes);
  } else {
    lanes = all(otherwise);
    __builtin_memcpy(&lanes, from, static_cast<std::size_t>(count) * sizeof(float));
  }
  return lanes;
}

/// The bits of bf16 numbers, each in the lower half of a word.
static inline Words load_bits(const bf16* from, Index count) {
  Halves bits{};
  __builtin_memcpy(&bits, from, count >= width ? sizeof bits : static_cast<std::size_t>(count) * sizeof(bf16));
  return __builtin_convertvector(bits, Words);
}

static inline Floats load(const bf16* from, Index count) {
  return __builtin_bit_cast(Floats, load_bits(from, count) << 16);
}

static inline void store(Floats lanes, float* onto, Index count) {
  if (count >= width) {
    __builtin_memcpy(onto, &lanes, sizeof lanes);
  } else {
    __builtin_memcpy(onto, &lanes, static_cast<std::size_t>(count) * sizeof(float));
  }
}

static inline void store(Floats lanes, bf16* onto, Index count) {
  const Words word = __builtin_bit_cast(Words, lanes);
  const Words rounded = (word + 0x7fffu + ((word >> 16) & 1u)) >> 16;
  const Words quiet = (word >> 16) | 0x40u;
  const Halves bits = __builtin_convertvector((word & 0x7fffffffu) > 0x7f800000u ? quiet : rounded, Halves);
  if (count >= width) {
    __builtin_memcpy(static_cast<void*>(onto), &bits, sizeof bits);
  } else {
    __builtin_memcpy(static_cast<void*>(onto), &bits, static_cast<std::size_t>(count) * sizeof(bf16));
  }
}

/// The sum over the lanes, halves upon halves.
static inline float sum(Floats lanes) {
  float parts[width];
  __builtin_memcpy(parts, &lanes, sizeof lanes);
  for (Index half = width / 2; half > 0; half /= 2) {
    for (Index k = 0; k < half; ++k) {
      parts[k] += parts[k + half];
    }
  }
  return parts[0];
}

static inline Floats larger(Floats a, Floats b) {
  return a > b ? a : b;
}

static inline float largest(Floats lanes) {
  float parts[width];
  __builtin_memcpy(parts, &lanes, sizeof lanes);
  for (Index half = width / 2; half > 0; half /= 2) {
    for (Index k = 0; k < half; ++k) {
      parts[k] = parts[k] > parts[k + half] ? parts[k] : parts[k + half];
    }
  }
  return parts[0];
}

static inline Floats power_of_two(Ints n) {
  return __builtin_bit_cast(Floats, (n + 127) << 23);
}

static inline Floats exp(Floats x) {
  const Floats rounder = all(0x1.8p23f);  // adding it leaves the nearest integer in the low bits
  x = x < -104.0f ? all(-104.0f) : x;
  x = x > 89.0f ? all(89.0f) : x;
  const Floats shifted = x * 1.44269504088896341f + rounder;
  const Ints n = __builtin_bit_cast(Ints, shifted) - __builtin_bit_cast(Ints, rounder);
  const Floats whole = shifted - rounder;
  const Floats r = (x - whole * 0.693359375f) + whole * 2.12194440e-4f;
  Floats p = r * 1.9875691500e-4f + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * (r * r) + r + 1.0f;
  const Ints half = n >> 1;  // in two steps, because 2^n itself may leave the range of float
  return p * power_of_two(half) * power_of_two(n - half);
}
