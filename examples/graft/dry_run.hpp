// SPDX-License-Identifier: Apache-2.0
// What a dry run measures: two steps, for the peak of memory and for the time of the whole run.
#pragma once

#include <cstddef>

#include <graft/train/epoch_batches.hpp>

#include "engine.hpp"

namespace graft::program {

/// Takes a step on the largest batch and one on the first, and says on stderr what the first takes, what all steps will
/// take by the tokens that they have, and the peak beside its forecast. The engine's training has begun.
void try_steps(Engine& engine, train::EpochBatches& batches, const train::DatasetCounts& counts, Index steps,
               std::size_t forecast);

}  // namespace graft::program
