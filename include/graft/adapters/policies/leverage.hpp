// SPDX-License-Identifier: Apache-2.0
// Leverage: the columns and rows that the leading singular vectors of a weight lean on most.
//
//   column j: sum over i < c of V_ji^2,   row j: sum over i < r of U_ji^2,   W = U S V'
//
// Mahoney & Drineas 2009, "CUR matrix decompositions for improved data analysis", with the largest scores taken, not drawn.
#pragma once

#include <graft/adapters/policies/baseline_selectors.hpp>
#include <graft/linalg/svd.hpp>

namespace graft::adapters::policies {

/// The largest leverage scores, by a whole singular value decomposition in double: minutes for a matrix of 4096 x 4096.
struct Leverage {
  static constexpr std::string_view name = "leverage";  ///< in files
  /// J and K by falling score, the first index among equals.
  template <class B, class T>
  static Skeleton select(const B&, View<const T> weight, Index c, Index r, Random, const std::string&) {
    const linalg::Svd svd = linalg::thin_svd(weight);
    std::vector<double> columns(static_cast<std::size_t>(weight.cols));
    std::vector<double> rows(static_cast<std::size_t>(weight.rows));
    for (Index i = 0; i < c; ++i) {
      for (Index j = 0; j < weight.cols; ++j) {
        columns[static_cast<std::size_t>(j)] += svd.vt(i, j) * svd.vt(i, j);
      }
    }
    for (Index j = 0; j < weight.rows; ++j) {
      for (Index i = 0; i < r; ++i) {
        rows[static_cast<std::size_t>(j)] += svd.u(j, i) * svd.u(j, i);
      }
    }
    return {LargestNorm::largest(columns, c), LargestNorm::largest(rows, r)};
  }
};

static_assert(selector<Leverage>);

}  // namespace graft::adapters::policies
