// SPDX-License-Identifier: Apache-2.0
// What graft select asks of a backend, for one matrix of a checkpoint at a time.
#pragma once

#include <string>

#include <graft/adapter.hpp>                     // Place
#include <graft/adapters/policies/selector.hpp>  // Skeleton
#include <graft/linalg/kept_energy.hpp>
#include <graft/models/checkpoint.hpp>

namespace graft::program {

/// The names that --selector takes: those of the policies.
inline constexpr std::string_view selector_names[] = {"pivoted-qr", "two-stage", "largest-norm",
                                                      "leverage",   "random",    "low-norm"};

/// c columns and r rows of the weight at `place`, by the policy of that name.
[[nodiscard]] Skeleton choose_skeleton(const models::Checkpoint& checkpoint, const Place& place,
                                       const std::string& selector, Index c, Index r, Random random);
/// What they keep of the weight.
[[nodiscard]] linalg::KeptEnergy kept_by(const models::Checkpoint& checkpoint, const Place& place,
                                         const Skeleton& skeleton);
/// What they keep of a matrix of its shape.
[[nodiscard]] linalg::KeptEnergy kept_by(const models::Checkpoint& checkpoint, const Place& place,
                                         const Skeleton& skeleton, View<const float> matrix);

}  // namespace graft::program
