// SPDX-License-Identifier: Apache-2.0
// Where a bottleneck adapter stands: after a half block, or beside one.
#pragma once

#include <string_view>

#include <graft/core/site.hpp>

namespace graft::adapters::policies {

/// Reads the rows that it edits: the output of a half block, or the residual stream.
struct Series {
  static constexpr std::string_view name = "series";                                     ///< in files
  static constexpr bool reads_input = false;                                             ///< x is y
  static constexpr Sites sites = site::attention | site::feed_forward | site::residual;  ///< where it may stand
};
/// Reads the input of the feed-forward (the output of its norm), and adds to the feed-forward's output.
struct Parallel {
  static constexpr std::string_view name = "parallel";  ///< in files
  static constexpr bool reads_input = true;             ///< x is what the half block reads
  static constexpr Sites sites = site::feed_forward;    ///< where it may stand
};

}  // namespace graft::adapters::policies
