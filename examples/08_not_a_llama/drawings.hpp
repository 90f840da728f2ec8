// SPDX-License-Identifier: Apache-2.0
// draw: bright strokes on a dark ground, of six kinds, in even light or under a slanted lamp.
#pragma once

#include <cmath>
#include <cstdint>
#include <numbers>  // pi

#include <graft/core/random.hpp>
#include <graft/core/tensor.hpp>

namespace example {

using namespace graft;

constexpr Index side = 12, kinds = 6;

/// One row of pixels a drawing, and its kind.
struct Drawings {
  Tensor<double> pixels;       // (T,side*side)
  Tensor<std::int32_t> kinds;  // (1,T)
};

/// Whether a drawing has ink x to the right of its middle and y below.
inline bool ink(Index kind, Index x, Index y) {
  const bool strokes[kinds] = {y == 0, x == 0, x == y, x == -y, x * y == 0, x * x == y * y};  // - | \ / + x
  constexpr Index reach = 4;
  return strokes[kind] && x * x <= reach * reach && y * y <= reach * reach;
}

/// The kinds in turn, each drawing somewhere else. The lamp stands in a random direction: it brightens that edge of the
/// image by `lamp` times what ink has, and darkens the edge across.
inline Drawings draw(Index count, double lamp, Random random) {
  constexpr double noise = 0.2;  // standard deviation of a pixel
  Drawings drawings{Tensor<double>(count, side * side), Tensor<std::int32_t>(1, count)};
  std::uint64_t number = 0;
  for (Index t = 0; t < count; ++t) {
    const Index kind = t % kinds;
    drawings.kinds(0, t) = static_cast<std::int32_t>(kind);
    const auto left = static_cast<Index>(4 + random.below(number++, 4));
    const auto top = static_cast<Index>(4 + random.below(number++, 4));
    const double direction = 2 * std::numbers::pi * random.uniform(number++);
    for (Index y = 0; y < side; ++y) {
      for (Index x = 0; x < side; ++x) {
        const auto across = [](Index at) { return static_cast<double>(2 * at + 1 - side) / side; };  // -1 to 1
        const double light = lamp * (std::cos(direction) * across(x) + std::sin(direction) * across(y));
        const double stroke = ink(kind, x - left, y - top) ? 1 : 0;
        drawings.pixels(t, y * side + x) = stroke + light + noise * random.normal(number++);
      }
    }
  }
  return drawings;
}

}  // namespace example
