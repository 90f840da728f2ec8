// SPDX-License-Identifier: Apache-2.0
#include <graft/backends/gemm/eigen.hpp>

#include "selection_of.hpp"

namespace graft::program {

Skeleton choose_skeleton(const models::Checkpoint& checkpoint, const Place& place, const std::string& selector, Index c,
                         Index r, Random random) {
  return detail::choose<backends::Simd<backends::EigenGemm>>(checkpoint, place, selector, c, r, random);
}

linalg::KeptEnergy kept_by(const models::Checkpoint& checkpoint, const Place& place, const Skeleton& skeleton) {
  return detail::kept<backends::Simd<backends::EigenGemm>>(checkpoint, place, skeleton);
}

linalg::KeptEnergy kept_by(const models::Checkpoint& checkpoint, const Place& place, const Skeleton& skeleton,
                           View<const float> matrix) {
  return detail::kept<backends::Simd<backends::EigenGemm>>(checkpoint, place, skeleton, matrix);
}

}  // namespace graft::program
