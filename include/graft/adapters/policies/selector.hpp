// SPDX-License-Identifier: Apache-2.0
// selector: which columns J and rows K of a frozen weight become the skeletons of PMSS.
#pragma once

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <graft/backends/reference.hpp>
#include <graft/core/random.hpp>
#include <graft/core/tensor.hpp>
#include <graft/linalg/pivoted_qr.hpp>

namespace graft {

/// The chosen columns (c of them) and rows (r of them), in the order of choice.
struct Skeleton {
  std::vector<std::int32_t> columns;  ///< J
  std::vector<std::int32_t> rows;     ///< K
};

/// Chooses c columns and r rows of a weight, with products by `be` and draws from `random`; `name` is the module, for errors.
template <class S>
concept selector = requires(const backends::Reference& be, View<const double> weight, Index c, Index r, Random random,
                            const std::string& name) {
  { S::select(be, weight, c, r, random, name) } -> std::same_as<Skeleton>;
};

/// Whether a selector may choose an index again: it says so in a constant of that name.
template <class S>
inline constexpr bool draws_with_replacement = requires { requires S::with_replacement; };

namespace adapters::policies {

/// Greedy pivots of W for the columns and of W' for the rows: LAPACK's column-pivoted QR, stopped at the last pivot.
struct PivotedQr {
  static constexpr std::string_view name = "pivoted-qr";  ///< in files
  /// J from all of W and K from all of W'; more than the rank of W is adapter.660.
  template <class B, class T>
  static Skeleton select(const B& be, View<const T> weight, Index c, Index r, Random, const std::string& where) {
    return {linalg::column_pivots(be, weight, c, where).order, linalg::row_pivots(be, weight, r, where).order};
  }
};

/// Columns as above, then the greedy pivots of the rows of those columns only.
struct TwoStagePivotedQr {
  static constexpr std::string_view name = "two-stage";  ///< in files
  /// J from all of W, K from the panel W[:, J]; more than its rank is adapter.660.
  template <class B, class T>
  static Skeleton select(const B& be, View<const T> weight, Index c, Index r, Random, const std::string& where) {
    const auto chosen = linalg::two_stage(be, weight, c, r, where);
    return {chosen.columns.order, chosen.rows.order};
  }
};

static_assert(selector<PivotedQr> && selector<TwoStagePivotedQr>);

}  // namespace adapters::policies
}  // namespace graft
