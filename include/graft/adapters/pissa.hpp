// SPDX-License-Identifier: Apache-2.0
// Pissa: LoRA that starts at the principal components of the weight. Meng et al., "PiSSA", arXiv 2404.02948.
//
//   A0 = sqrt(S/s) V',  B0 = U sqrt(S/s)  of the rank-r SVD of W,   y = W x + s (B A - B0 A0) x
//
// The paper moves s B0 A0 out of W and trains it there. Here W stays as it is: it is mapped, and other adapters share it.
#pragma once

#include <graft/adapters/lora.hpp>
#include <graft/adapters/policies/singular.hpp>

namespace graft::adapters {

/// What the largest singular directions of a weight do is trained first.
template <Index Rank = dynamic>
using Pissa = Lora<Rank, policies::PrincipalComponents>;

static_assert(weight_adapter<Pissa<>>);

}  // namespace graft::adapters
