// SPDX-License-Identifier: Apache-2.0
// sums: over all rows of a matrix, in two stages and an order that the shape alone decides, so that two runs agree bit for bit.
#pragma once

#include <cmath>

#include <graft/base/index.hpp>
#include <graft/core/view.hpp>

namespace graft::backends::cuda {

/// parts(c, j) = sum of term(i, j) over the rows of chunk c, in order: a task is 256 columns of a chunk.
template <class Term>
struct PartialColumnSums {
  static constexpr Index width = 256;  ///< columns of a task
  static constexpr Index chunk = 64;   ///< rows of a part
  Term term;                           ///< what is added
  Index rows, cols;                    ///< of the matrix
  float* parts;                        ///< (chunks,cols)

  [[nodiscard]] static constexpr Index tasks(Index rows, Index cols) {
    return ceil_div(rows, chunk) * ceil_div(cols, width);
  }  ///< in all
  /// One task.
  template <class Team>
  GRAFT_HD void operator()(const Team& team, Index task) const {
    const Index strips = (cols + width - 1) / width;
    const Index begin = task % strips * width;
    const Index first = task / strips * chunk;
    const Index last = first + chunk < rows ? first + chunk : rows;
    const Index count = cols - begin < width ? cols - begin : width;
    team.each(count, [&](Index j) {
      float sum = 0;
      for (Index i = first; i < last; ++i) {
        sum += term(i, begin + j);
      }
      parts[task / strips * cols + begin + j] = sum;
    });
  }
};
/// sum(0, j) += alpha times the parts of column j, in order.
struct AddParts {
  const float* parts;
  Index chunks;
  float alpha;
  View<float> sum;
  GRAFT_HD void operator()(Index, Index j) const {
    float total = 0;
    for (Index c = 0; c < chunks; ++c) {
      total += parts[c * sum.cols + j];
    }
    sum(0, j) += alpha * total;
  }
};

/// Terms: y; x o y; and dy x / rms(x). @{
struct ColumnTerm {
  View<const float> y;
  GRAFT_HD float operator()(Index i, Index j) const { return y(i, j); }
};
struct DotTerm {
  View<const float> x, y;
  GRAFT_HD float operator()(Index i, Index j) const { return x(i, j) * y(i, j); }
};
struct GainTerm {
  View<const float> x, dy;
  const float* inverse;
  GRAFT_HD float operator()(Index i, Index j) const { return dy(i, j) * x(i, j) * inverse[i]; }
};
/// @}

/// sum(T,1) += the row sums of x o y.
struct RowDots {
  View<const float> x, y;
  View<float> sum;
  template <class Team>
  GRAFT_HD void operator()(const Team& team, Index i) const {
    const float dot = team.sum(x.cols, [&](Index j) { return x(i, j) * y(i, j); });
    team.each(1, [&](Index) { sum(i, 0) += dot; });
  }
};
/// The squared norm of row i, in double, known to the whole team.
template <class Team>
[[nodiscard]] GRAFT_HD double squares_of_row(const Team& team, View<const float> x, Index i) {
  return team.sum(x.cols, [&](Index j) {
    const auto value = static_cast<double>(x(i, j));
    return value * value;
  });
}
/// squares[i] = the squared norm of row i.
struct RowSquares {
  View<const float> x;
  double* squares;
  template <class Team>
  GRAFT_HD void operator()(const Team& team, Index i) const {
    const double sum = squares_of_row(team, x, i);
    team.each(1, [&](Index) { squares[i] = sum; });
  }
};
/// n(0, i) = the norm of row i.
struct RowNorms {
  View<const float> x;
  View<float> n;
  template <class Team>
  GRAFT_HD void operator()(const Team& team, Index i) const {
    using std::sqrt;
    const double sum = squares_of_row(team, x, i);
    team.each(1, [&](Index) { n(0, i) = static_cast<float>(sqrt(sum)); });
  }
};
/// *total = the sum of `count` numbers; one task.
struct Total {
  const double* numbers;
  Index count;
  double* total;
  template <class Team>
  GRAFT_HD void operator()(const Team& team, Index) const {
    const double sum = team.sum(count, [&](Index i) { return numbers[i]; });
    team.each(1, [&](Index) { *total = sum; });
  }
};

/// G(r,r) of r rows => z = G^(-1/2), by the iteration of ops::orthonormalize. y holds G and is spent; t and product are scratch.
/// One task: r is small.
struct InverseRoot {
  View<float> y, z, t, product;
  template <class Team>
  GRAFT_HD void operator()(const Team& team, Index) const {
    using std::sqrt;
    const Index r = y.rows;
    const float bound = team.max(r, [&](Index i) {  // bounds the spectrum, which must start inside (0, 1]
      float sum = 0;
      for (Index j = 0; j < r; ++j) {
        sum += y(i, j) < 0 ? -y(i, j) : y(i, j);
      }
      return sum;
    });
    const auto at_each = [&](const auto& body) {
      team.sync();
      team.grid(r, r, body);
      team.sync();
    };
    const auto dot = [&](View<const float> a, View<const float> b, Index i, Index j) {
      float sum = 0;
      for (Index k = 0; k < r; ++k) {
        sum += a(i, k) * b(k, j);
      }
      return sum;
    };
    const auto multiply = [&](View<const float> a, View<const float> b, View<float> into) {
      at_each([&](Index i, Index j) { product(i, j) = dot(a, b, i, j); });
      at_each([&](Index i, Index j) { into(i, j) = product(i, j); });
    };
    at_each([&](Index i, Index j) {
      y(i, j) *= 1.0f / bound;
      z(i, j) = i == j ? 1.0f : 0.0f;
    });
    for (int step = 0; step < 24; ++step) {
      at_each([&](Index i, Index j) { t(i, j) = -0.5f * dot(z, y, i, j) + (i == j ? 1.5f : 0.0f); });
      multiply(y, t, y);
      multiply(t, z, z);
    }
    const float root = 1.0f / sqrt(bound);
    at_each([&](Index i, Index j) { z(i, j) *= root; });
  }
};

}  // namespace graft::backends::cuda
