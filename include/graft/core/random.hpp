// SPDX-License-Identifier: Apache-2.0
// Random: a counter-based generator. Number i of stream s under seed k is a pure function of (k, s, i), on every backend.
// Philox4x32-10, Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
#pragma once

#include <array>
#include <cmath>  // log, sqrt, cos, sin
#include <cstdint>
#include <numbers>  // pi

#include <graft/base/config.hpp>

namespace graft {

/// Four words for one counter and key.
[[nodiscard]] GRAFT_HD constexpr std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> counter,
                                                                     std::array<std::uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t a = std::uint64_t{0xD2511F53u} * counter[0];
    const std::uint64_t b = std::uint64_t{0xCD9E8D57u} * counter[2];
    counter = {static_cast<std::uint32_t>(b >> 32) ^ counter[1] ^ key[0], static_cast<std::uint32_t>(b),
               static_cast<std::uint32_t>(a >> 32) ^ counter[3] ^ key[1], static_cast<std::uint32_t>(a)};
    key = {key[0] + 0x9E3779B9u, key[1] + 0xBB67AE85u};
  }
  return counter;
}

/// A stream of random numbers that is addressed, not consumed. Copies are free; streams of one seed are independent.
class Random {
 public:
  /// Equal seed and stream give equal bits, on every backend and machine.
  GRAFT_HD constexpr explicit Random(std::uint64_t seed, std::uint64_t stream = 0) : seed_(seed), stream_(stream) {}

  /// The same seed, another stream.
  [[nodiscard]] GRAFT_HD constexpr Random stream(std::uint64_t number) const { return Random(seed_, number); }

  /// A generator of its own for each number, independent of this one and of its other children, to any depth.
  [[nodiscard]] GRAFT_HD constexpr Random child(std::uint64_t number) const { return Random(bits(~number)); }

  /// 64 random bits.
  [[nodiscard]] GRAFT_HD constexpr std::uint64_t bits(std::uint64_t index) const {
    const auto words = philox({static_cast<std::uint32_t>(index), static_cast<std::uint32_t>(index >> 32),
                               static_cast<std::uint32_t>(stream_), static_cast<std::uint32_t>(stream_ >> 32)},
                              {static_cast<std::uint32_t>(seed_), static_cast<std::uint32_t>(seed_ >> 32)});
    return (std::uint64_t{words[0]} << 32) | words[1];
  }
  /// Uniform in [0, 1) with 53 bits.
  [[nodiscard]] GRAFT_HD constexpr double uniform(std::uint64_t index) const {
    return static_cast<double>(bits(index) >> 11) * 0x1p-53;
  }
  /// Standard normal, by Box and Muller.
  [[nodiscard]] double normal(std::uint64_t index) const {
    const std::uint64_t word = bits(index);
    const double u = (static_cast<double>(word >> 32) + 1.0) * 0x1p-32;  // in (0, 1]: its logarithm exists
    const double angle = 2.0 * std::numbers::pi * static_cast<double>(word & 0xffffffffu) * 0x1p-32;
    return std::sqrt(-2.0 * std::log(u)) * std::cos(angle);
  }
  /// An integer in [0, bound), bound > 0.
  [[nodiscard]] GRAFT_HD constexpr std::uint64_t below(std::uint64_t index, std::uint64_t bound) const {
    return bits(index) % bound;
  }

 private:
  std::uint64_t seed_;
  std::uint64_t stream_;
};

}  // namespace graft
