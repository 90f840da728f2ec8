// SPDX-License-Identifier: Apache-2.0
// orthonormality_error: how far the rows of a matrix are from orthonormal. What makes them so is ops/orthonormalize.hpp.
#pragma once

#include <cmath>  // abs, isnan
#include <concepts>
#include <type_traits>  // remove_const_t

#include <graft/core/view.hpp>

namespace graft::linalg {

/// max |R R^T - I|.
template <class T>
  requires std::floating_point<std::remove_const_t<T>>
[[nodiscard]] double orthonormality_error(View<T> r) {
  double worst = 0;
  for (Index i = 0; i < r.rows; ++i) {
    for (Index j = 0; j <= i; ++j) {
      double sum = i == j ? -1 : 0;
      for (Index k = 0; k < r.cols; ++k) {
        sum += static_cast<double>(r(i, k)) * static_cast<double>(r(j, k));
      }
      worst = std::isnan(worst) || std::abs(sum) <= worst ? worst : std::abs(sum);  // NaN wins, and stays
    }
  }
  return worst;
}

}  // namespace graft::linalg
