// SPDX-License-Identifier: Apache-2.0
// rope: rotates pair (i, i + K/2) of every head by position * frequency[i]; the inverse rotation is its gradient.
// Su et al., "RoFormer", 2021, in Hugging Face's half-split order.
#pragma once

#include <cmath>
#include <span>

#include <graft/base/require.hpp>
#include <graft/core/scalar.hpp>
#include <graft/core/view.hpp>

namespace graft::ops {

/// rotations(T,K): row t holds cos(position f_i) in its first half and sin in its second, for the K/2 frequencies.
template <scalar T>
void rope_rotations(std::span<const Index> positions, std::span<const double> frequencies, View<T> rotations) {
  const auto half = static_cast<Index>(frequencies.size());
  require(rotations.cols == 2 * half && rotations.rows == static_cast<Index>(positions.size()), "shape.122",
          "rope_rotations: rotations(T,K), T positions and K/2 frequencies disagree");
  for (Index t = 0; t < rotations.rows; ++t) {
    for (Index i = 0; i < half; ++i) {
      const double angle =
          static_cast<double>(positions[static_cast<std::size_t>(t)]) * frequencies[static_cast<std::size_t>(i)];
      rotations(t, i) = T(static_cast<real_type<T>>(std::cos(angle)));
      rotations(t, half + i) = T(static_cast<real_type<T>>(std::sin(angle)));
    }
  }
}

/// Which way to turn.
enum class Turn { forward, back };

/// x(T,H*K), in place, by rotations(T,K).
template <scalar T>
void rope(Turn turn, In<T> rotations, View<T> x) {
  const Index width = rotations.cols;
  const Index half = width / 2;
  require(x.rows == rotations.rows && width > 0 && width % 2 == 0 && x.cols % width == 0, "shape.122",
          "rope: x(T,H*K) and rotations(T,K) disagree");
  for (Index t = 0; t < x.rows; ++t) {
    for (Index head = 0; head < x.cols; head += width) {
      for (Index i = 0; i < half; ++i) {
        const T c = rotations(t, i);
        const T s = turn == Turn::forward ? rotations(t, half + i) : -rotations(t, half + i);
        const T a = x(t, head + i);
        const T b = x(t, head + half + i);
        x(t, head + i) = a * c - b * s;
        x(t, head + half + i) = b * c + a * s;
      }
    }
  }
}

}  // namespace graft::ops
