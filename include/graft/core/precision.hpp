// SPDX-License-Identifier: Apache-2.0
// precision: which types weights are stored in, gemms multiply in, activations are kept in, and all else is computed in.
#pragma once

#include <concepts>

#include <graft/core/scalar.hpp>

namespace graft {

/// One type for everything: Uniform<float> to train small models, Uniform<std::complex<double>> to prove gradients.
template <scalar T>
struct Uniform {
  using Stored = T;    ///< frozen weights, and the operands that meet them in a gemm
  using Computed = T;  ///< residual stream, sums, adapters, optimizer
  using Kept = T;      ///< what a backward reads of its forward
};

/// Weights and gemm operands in S; sums, residual stream and adapters in C. A value is rounded to S once, on entry to a gemm;
/// and once more to be kept for the backward, in half the memory.
template <storable S, scalar C>
struct Mixed {
  using Stored = S;    ///< frozen weights, and the operands that meet them in a gemm
  using Computed = C;  ///< residual stream, sums, adapters, optimizer
  using Kept = S;      ///< what a backward reads of its forward
};

/// Says how weights are stored and what everything else is computed in: Uniform, Mixed.
template <class P>
concept precision = storable<typename P::Stored> && scalar<typename P::Computed> && storable<typename P::Kept>;

static_assert(precision<Uniform<float>> && precision<Mixed<bf16, float>>);

}  // namespace graft
