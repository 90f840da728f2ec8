// SPDX-License-Identifier: Apache-2.0
// ResidentWeight: a frozen matrix in the memory() of its making, whatever it was read from: a mapped file's pages go there one
// copy a matrix, and may be forgotten.
#pragma once

#include <cstddef>
#include <utility>  // move

#include <graft/core/memory.hpp>
#include <graft/core/weight.hpp>

namespace graft::backends::cuda {

/// DenseWeight never points into a file here.
template <storable S>
class ResidentWeight : public DenseWeight<S> {
 public:
  ResidentWeight() = default;
  /// Copies what a file holds.
  explicit ResidentWeight(View<const S> mapped) : DenseWeight<S>(copy_of(mapped)) {}
  /// Owns its numbers.
  explicit ResidentWeight(Tensor<S> owned) : DenseWeight<S>(std::move(owned)) {}

 private:
  static Tensor<S> copy_of(View<const S> from) {
    Tensor<S> own(from.rows, from.cols);
    const Index at_once = from.contiguous() ? from.rows : 1;
    for (Index i = 0; i < from.rows && !from.empty(); i += at_once) {
      memory().fill(own.view().row(i), from.row(i), static_cast<std::size_t>(at_once * from.cols) * sizeof(S));
    }
    return own;
  }
};

}  // namespace graft::backends::cuda
