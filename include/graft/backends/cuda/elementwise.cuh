// SPDX-License-Identifier: Apache-2.0
// elementwise: operations that make each number from numbers at its own place. What a team is: team.cuh.
#pragma once

#include <cstdint>

#include <graft/base/index.hpp>
#include <graft/core/random.hpp>
#include <graft/core/scalar.hpp>
#include <graft/core/view.hpp>
#include <graft/ops/activation.hpp>
#include <graft/ops/adamw.hpp>

namespace graft::backends::cuda {

/// Calls at(i, j) for every place of a matrix of `cols` columns: a task is 1024 columns of a row.
template <class At>
struct ForEach {
  static constexpr Index width = 1024;  ///< columns of a task
  At at;                                ///< what is done at a place
  Index cols;                           ///< of the matrix

  [[nodiscard]] static constexpr Index tasks(Index rows, Index cols) { return rows * ceil_div(cols, width); }  ///< in all
  /// One task.
  template <class Team>
  GRAFT_HD void operator()(const Team& team, Index task) const {
    const Index strips = (cols + width - 1) / width;
    const Index i = task / strips;
    const Index begin = task % strips * width;
    const Index count = cols - begin < width ? cols - begin : width;
    team.each(count, [&](Index j) { at(i, begin + j); });
  }
};

/// y = x, converted.
template <class A, class T>
struct Copy {
  View<const A> x;
  View<T> y;
  GRAFT_HD void operator()(Index i, Index j) const {
    if constexpr (std::same_as<A, T>) {
      y(i, j) = x(i, j);
    } else {
      y(i, j) = T(static_cast<float>(x(i, j)));
    }
  }
};
/// y = value.
struct Fill {
  float value;
  View<float> y;
  GRAFT_HD void operator()(Index i, Index j) const { y(i, j) = value; }
};
/// y += alpha x.
struct Add {
  float alpha;
  View<const float> x;
  View<float> y;
  GRAFT_HD void operator()(Index i, Index j) const { y(i, j) += alpha * x(i, j); }
};
/// y *= alpha.
struct Scale {
  float alpha;
  View<float> y;
  GRAFT_HD void operator()(Index i, Index j) const { y(i, j) *= alpha; }
};
/// Every row of y(T,N) += alpha bias(1,N).
template <class S>
struct AddBias {
  float alpha;
  View<const S> bias;
  View<float> y;
  GRAFT_HD void operator()(Index i, Index j) const { y(i, j) += alpha * static_cast<float>(bias(0, j)); }
};
/// y = gain(1,N) o x.
struct MultiplyColumns {
  View<const float> gain, x;
  View<float> y;
  GRAFT_HD void operator()(Index i, Index j) const { y(i, j) = gain(0, j) * x(i, j); }
};
/// y += (scale(1,N) - 1) x.
struct RescaleColumns {
  View<const float> scale, x;
  View<float> y;
  GRAFT_HD void operator()(Index i, Index j) const { y(i, j) += (scale(0, j) - 1.0f) * x(i, j); }
};
/// y = scale(T,1) o x + beta y.
struct MultiplyRows {
  View<const float> scale, x;
  float beta;
  View<float> y;
  GRAFT_HD void operator()(Index i, Index j) const {
    y(i, j) = scale(i, 0) * x(i, j) + (beta == 0 ? 0.0f : beta * y(i, j));
  }
};
/// x = 1 / x, and 0 where it is 0.
struct Invert {
  View<float> x;
  GRAFT_HD void operator()(Index i, Index j) const { x(i, j) = x(i, j) == 0 ? 0.0f : 1.0f / x(i, j); }
};
/// y = f(x).
struct Activate {
  ops::Activation kind;
  View<const float> x;
  View<float> y;
  GRAFT_HD void operator()(Index i, Index j) const { y(i, j) = ops::activate(kind, x(i, j)).value; }
};
/// dx = dy f'(x).
struct ActivateVjp {
  ops::Activation kind;
  View<const float> x, dy;
  View<float> dx;
  GRAFT_HD void operator()(Index i, Index j) const { dx(i, j) = dy(i, j) * ops::activate(kind, x(i, j)).slope; }
};
/// a = f(gate) up.
struct Gate {
  ops::Activation kind;
  View<const float> gate, up;
  View<float> a;
  GRAFT_HD void operator()(Index i, Index j) const { a(i, j) = ops::activate(kind, gate(i, j)).value * up(i, j); }
};
/// dgate = da up f'(gate), dup = da f(gate).
struct GateVjp {
  ops::Activation kind;
  View<const float> gate, up, da;
  View<float> dgate, dup;
  GRAFT_HD void operator()(Index i, Index j) const {
    const auto f = ops::activate(kind, gate(i, j));
    const float d = da(i, j);
    dgate(i, j) = d * up(i, j) * f.slope;
    dup(i, j) = d * f.value;
  }
};
/// y = x mask / (1 - rate), the mask of ops::dropout.
struct Dropout {
  double rate;
  Random random;
  Index first_row;
  View<const float> x;
  View<float> y;
  GRAFT_HD void operator()(Index i, Index j) const {
    const auto number = static_cast<std::uint64_t>((first_row + i) * x.cols + j);
    const auto kept = static_cast<float>(1.0 / (1.0 - rate));
    y(i, j) = random.uniform(number) < rate ? 0.0f : x(i, j) * kept;
  }
};
/// x(i, j) = 0 where bit j of bits[i] is 0.
struct KeepColumns {
  const std::uint64_t* bits;
  View<float> x;
  GRAFT_HD void operator()(Index i, Index j) const {
    if ((bits[i] >> j & 1u) == 0) {
      x(i, j) = 0;
    }
  }
};
/// rotations(T,K): cos, then sin, of position * frequency, for j in [0, K/2).
struct Rotations {
  const Index* positions;
  const double* frequencies;
  View<float> rotations;
  GRAFT_HD void operator()(Index t, Index j) const {
    using std::cos;
    using std::sin;
    const double angle = static_cast<double>(positions[t]) * frequencies[j];
    rotations(t, j) = static_cast<float>(cos(angle));
    rotations(t, rotations.cols / 2 + j) = static_cast<float>(sin(angle));
  }
};
/// x(T,H*K) turned by rotations(T,K): j counts pairs, K/2 of each head. `sign` -1 turns back.
struct Rope {
  float sign;
  View<const float> rotations;
  View<float> x;
  GRAFT_HD void operator()(Index t, Index j) const {
    const Index half = rotations.cols / 2;
    const Index i = j % half;
    float* const pair = x.row(t) + j / half * rotations.cols + i;
    const float c = rotations(t, i);
    const float s = sign * rotations(t, half + i);
    const float a = pair[0];
    const float b = pair[half];
    pair[0] = a * c - b * s;
    pair[half] = b * c + a * s;
  }
};
/// A step of ops::adamw.
struct AdamW {
  ops::AdamWNumbers<float> numbers;
  View<const float> gradient;
  View<float> m, v, value;
  GRAFT_HD void operator()(Index i, Index j) const { numbers.apply(gradient(i, j), m(i, j), v(i, j), value(i, j)); }
};

}  // namespace graft::backends::cuda
