// SPDX-License-Identifier: Apache-2.0
// LossMean: the running mean of a run's losses, against which a spike is seen.
// m <- m + (loss - m) / min(n, 50): the plain mean of the first 50 losses, then an exponential one of that reach.
#pragma once

#include <algorithm>  // min

#include <graft/base/index.hpp>

namespace graft::train {

/// Two numbers, so that a checkpoint carries it exactly.
struct LossMean {
  static constexpr Index reach = 50;    ///< losses that the mean looks back on
  static constexpr Index settled = 10;  ///< losses before which nothing is a spike: the mean is not known yet

  double mean = 0;  ///< of the losses so far
  Index count = 0;  ///< how many those are

  /// Takes one more loss in.
  constexpr void add(double loss) {
    ++count;
    mean += (loss - mean) / static_cast<double>(std::min(count, reach));
  }
  /// Whether the loss lies above `factor` times the mean; a factor of 0 asks for nothing.
  [[nodiscard]] constexpr bool is_spike(double loss, double factor) const {
    return factor > 0 && count >= settled && loss > factor * mean;
  }
};

}  // namespace graft::train
