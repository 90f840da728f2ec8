// SPDX-License-Identifier: Apache-2.0
// effective_rank: how many directions a matrix really uses: exp of the entropy of its singular values,
//
//   exp(-sum_i p_i ln p_i),   p_i = s_i / sum_j s_j
//
// from 1 (one direction) to the number of them (all alike). Roy & Vetterli, "The effective rank", EUSIPCO 2007.
#pragma once

#include <cmath>
#include <span>

namespace graft::linalg {

/// Of singular values, in any order and scale; 0 where all are zero.
[[nodiscard]] inline double effective_rank(std::span<const double> singular_values) {
  double sum = 0;
  for (const double s : singular_values) {
    sum += s;
  }
  double entropy = 0;
  for (const double s : singular_values) {
    entropy -= s > 0 ? s / sum * std::log(s / sum) : 0;
  }
  return sum > 0 ? std::exp(entropy) : 0;
}

}  // namespace graft::linalg
