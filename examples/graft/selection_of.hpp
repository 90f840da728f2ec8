// SPDX-License-Identifier: Apache-2.0
// The one implementation of selection.hpp, for the backend of a selection_*.cpp.
#pragma once

#include <graft/adapters/policies/leverage.hpp>
#include <graft/backends/simd.hpp>

#include "selection.hpp"

namespace graft::program::detail {

/// body(the weight at `place`): where it lies in the file in bf16 or fp32, else decoded.
template <class Body>
auto with_weight(const models::Checkpoint& checkpoint, const Place& place, const Body& body) {
  const std::string name = place.name + ".weight";
  const io::TensorRef& tensor = checkpoint.tensor(name);
  if (const auto narrow = io::in_place<bf16>(tensor)) {
    return body(*narrow);
  }
  if (const auto wide = io::in_place<float>(tensor)) {
    return body(*wide);
  }
  const Tensor<float> decoded = models::load_tensor<float>(checkpoint, name, place.outputs, place.inputs);
  return body(decoded.view());
}

template <class B>
Skeleton choose(const models::Checkpoint& checkpoint, const Place& place, const std::string& selector, Index c, Index r,
                Random random) {
  return with_weight(checkpoint, place, [&](auto weight) {
    Skeleton skeleton;
    const auto try_one = [&](auto policy) {
      if (selector == policy.name) {
        skeleton = policy.select(B{}, weight, c, r, random, place.name);
      }
    };
    using namespace adapters::policies;
    try_one(PivotedQr{});
    try_one(TwoStagePivotedQr{});
    try_one(LargestNorm{});
    try_one(Leverage{});
    try_one(AtRandom{});
    try_one(LowNorm{});
    return skeleton;
  });
}

template <class B>
linalg::KeptEnergy kept(const models::Checkpoint& checkpoint, const Place& place, const Skeleton& skeleton) {
  return with_weight(checkpoint, place,
                     [&](auto weight) { return linalg::kept_energy(B{}, weight, skeleton.columns, skeleton.rows); });
}

template <class B>
linalg::KeptEnergy kept(const models::Checkpoint& checkpoint, const Place& place, const Skeleton& skeleton,
                        View<const float> matrix) {
  return with_weight(checkpoint, place, [&](auto weight) {
    return linalg::kept_energy(B{}, matrix, weight, skeleton.columns, skeleton.rows);
  });
}

}  // namespace graft::program::detail
