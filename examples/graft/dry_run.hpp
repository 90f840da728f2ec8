// SPDX-License-Identifier: Apache-2.0
// What a dry run measures: a few steps, for the peak of memory and for the time of the whole run.
#pragma once

#include <cstddef>

#include <graft/train/epoch_batches.hpp>

#include "engine.hpp"

namespace graft::program {

/// What the steps of a run will take.
struct DryRun {
  double tokens = 0;   // of all steps
  double seconds = 0;  // for them, validation aside
  std::size_t peak = 0;
};

/// Takes a step on the largest batch, then some from the first on (up to eight, two seconds long), and says on stderr
/// what the median of these takes, what all steps will take by the tokens that they have, and the peak beside its
/// forecast. The engine's training has begun.
DryRun try_steps(Engine& engine, train::EpochBatches& batches, const train::DatasetCounts& counts, Index steps,
                 std::size_t forecast);

}  // namespace graft::program
