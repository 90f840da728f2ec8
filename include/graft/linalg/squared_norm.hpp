// SPDX-License-Identifier: Apache-2.0
// squared_norm: of one row, in double and in a fixed order, whatever the row holds.
#pragma once

#include <array>

#include <graft/core/scalar.hpp>
#include <graft/core/view.hpp>

namespace graft::linalg {

/// Sum of squares of row(1,n), in eight interleaved sums.
template <class S>
[[nodiscard]] double squared_norm(View<const S> row) {
  std::array<double, 8> sums{};
  Index j = 0;
  for (; j + 8 <= row.cols; j += 8) {
    for (Index lane = 0; lane < 8; ++lane) {
      const double value = to<double>(row.data[j + lane]);
      sums[static_cast<std::size_t>(lane)] += value * value;
    }
  }
  for (; j < row.cols; ++j) {
    const double value = to<double>(row.data[j]);
    sums[0] += value * value;
  }
  return ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]));
}

}  // namespace graft::linalg
