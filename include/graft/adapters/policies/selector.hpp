// SPDX-License-Identifier: Apache-2.0
// selector: which columns J and rows K of a frozen weight become the skeletons of PMSS.
#pragma once

#include <concepts>
#include <cstdint>
#include <string>
#include <vector>

#include <graft/core/tensor.hpp>
#include <graft/linalg/pivoted_qr.hpp>

namespace graft {

/// The chosen columns (c of them) and rows (r of them), in pivot order.
struct Skeleton {
  std::vector<std::int32_t> columns;  ///< J
  std::vector<std::int32_t> rows;     ///< K
};

/// Chooses c columns and r rows of a weight; `name` is the module, for errors.
template <class S>
concept selector = requires(View<const double> weight, Index c, Index r, const std::string& name) {
  { S::select(weight, c, r, name) } -> std::same_as<Skeleton>;
};

namespace adapters::policies {

/// Greedy pivots of W for the columns and of W' for the rows: LAPACK's column-pivoted QR, stopped at the last pivot.
struct PivotedQr {
  /// J from all of W and K from all of W'; more than the rank of W is adapter.660.
  template <class T>
  static Skeleton select(View<const T> weight, Index c, Index r, const std::string& name) {
    return {linalg::column_pivots(weight, c, name).order, linalg::row_pivots(weight, r, name).order};
  }
};

/// Columns as above, then the greedy pivots of the rows of those columns only.
struct TwoStagePivotedQr {
  /// J from all of W, K from the panel W[:, J]; more than its rank is adapter.660.
  template <class T>
  static Skeleton select(View<const T> weight, Index c, Index r, const std::string& name) {
    const auto chosen = linalg::two_stage(weight, c, r, name);
    return {chosen.columns.order, chosen.rows.order};
  }
};

static_assert(selector<PivotedQr> && selector<TwoStagePivotedQr>);

}  // namespace adapters::policies
}  // namespace graft
