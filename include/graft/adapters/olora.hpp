// SPDX-License-Identifier: Apache-2.0
// Olora: LoRA that starts at the orthonormal columns of the weight's QR decomposition. Buyukakyuz, arXiv 2406.01775.
//
//   A0 = R[:r],  B0 = Q[:, :r]  of W = Q R,   y = W x + s (B A - B0 A0) x
#pragma once

#include <graft/adapters/lora.hpp>
#include <graft/adapters/policies/thin_qr.hpp>

namespace graft::adapters {

/// B begins orthonormal; the weight stays as it is, and the start is taken away as in Pissa.
template <Index Rank = dynamic>
using Olora = Lora<Rank, policies::ThinQr>;

static_assert(weight_adapter<Olora<>>);

}  // namespace graft::adapters
