// SPDX-License-Identifier: Apache-2.0
// CurLora: W = W0 + alpha C U R with C and R drawn from W0, small norms first, and U trained from zero.
// "CURLoRA: Stable LLM Continual Fine-Tuning and Catastrophic Forgetting Mitigation", arXiv 2408.14572.
#pragma once

#include <graft/adapters/pmss.hpp>
#include <graft/adapters/policies/baseline_selectors.hpp>

namespace graft::adapters {

/// PMSS with CURLoRA's draws and alpha = 1, not divided by the rank. Trains r^2 numbers a map.
template <Index Rank = dynamic>
using CurLora = Pmss<Rank, policies::LowNorm, policies::JustAlpha>;

static_assert(weight_adapter<CurLora<>>);

}  // namespace graft::adapters
