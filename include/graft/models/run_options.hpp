// SPDX-License-Identifier: Apache-2.0
// RunOptions: what a forward pass is for, and who meets the stream between its blocks.
#pragma once

#include <graft/base/index.hpp>
#include <graft/core/random.hpp>
#include <graft/core/view.hpp>

namespace graft::models {

/// What a forward pass is for.
struct RunOptions {
  bool keep = false;       ///< a backward follows
  bool recompute = false;  ///< keep the inputs of the blocks only: the backward runs each block forward again
  Random dropout{0};       ///< masks of this pass
  bool continues = false;  ///< goes on from this run's last forward: the same bank, parameters and store
};

/// Leaves the stream between two blocks as it is.
struct NobodyBetween {
  /// x(T,D) on its way into block l.
  template <class C>
  void operator()(Index, View<C>) const {}
};

}  // namespace graft::models
