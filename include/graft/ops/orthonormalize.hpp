// SPDX-License-Identifier: Apache-2.0
// orthonormalize: R <- (R R')^(-1/2) R, the nearest matrix with orthonormal rows (polar factor), by products of r x r only.
// Coupled Newton-Schulz iteration for the inverse square root (Higham, "Functions of matrices", 2008, eq. 6.35).
#pragma once

#include <cmath>

#include <graft/base/require.hpp>
#include <graft/core/scalar.hpp>
#include <graft/core/view.hpp>
#include <graft/ops/elementwise.hpp>
#include <graft/ops/gemm.hpp>

namespace graft::ops {

/// scratch(4r,d) for rows(r,d). The number of products is fixed, so no device has to ask the host; two rounds
/// bring max |R R' - I| to rounding as long as the rows are not nearly dependent (condition number up to about 1e3).
template <scalar T>
void orthonormalize(View<T> rows, View<T> scratch) {
  const Index r = rows.rows;
  require(r <= rows.cols, "shape.130", "orthonormalize: R(r,d) needs r <= d");
  require(scratch.rows >= 4 * r && scratch.cols >= rows.cols, "shape.130",
          "orthonormalize: scratch is smaller than (4r, d)");
  const View<T> y = scratch.middle_rows(0, r).middle_cols(0, r);
  const View<T> z = scratch.middle_rows(r, r).middle_cols(0, r);
  const View<T> t = scratch.middle_rows(2 * r, r).middle_cols(0, r);
  const View<T> product = scratch.middle_rows(3 * r, r).middle_cols(0, r);
  const auto multiply = [&](View<const T> a, View<const T> b, View<T> into) {
    gemm_nn(T(1), a, b, T{}, product);
    copy(product, into);
  };
  for (int round = 0; round < 2; ++round) {
    gemm_nt(T(1), rows, rows, T{}, y);
    real_type<T> bound{};  // the largest absolute row sum bounds the spectrum, which must start inside (0, 1]
    for (Index i = 0; i < r; ++i) {
      real_type<T> sum{};
      for (Index j = 0; j < r; ++j) {
        sum += std::abs(y(i, j));
      }
      bound = sum > bound ? sum : bound;
    }
    scale(T(1) / T(bound), y);
    fill(T{}, z);
    for (Index i = 0; i < r; ++i) {
      z(i, i) = T(1);
    }
    for (int step = 0; step < 24; ++step) {  // y -> sqrt(G), z -> G^(-1/2)
      gemm_nn(T(-0.5), z, y, T{}, t);
      for (Index i = 0; i < r; ++i) {
        t(i, i) += T(1.5);
      }
      multiply(y, t, y);
      multiply(t, z, z);
    }
    scale(T(1) / T(std::sqrt(bound)), z);
    const View<T> turned = scratch.middle_rows(0, r).middle_cols(0, rows.cols);  // y is spent
    gemm_nn(T(1), z, rows, T{}, turned);
    copy(turned, rows);
  }
}

}  // namespace graft::ops
