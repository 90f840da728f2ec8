// SPDX-License-Identifier: Apache-2.0
// Skeletons of a matrix: the columns (or rows) that greedy column-pivoted QR picks first.
//
//   for t = 0 .. k-1:  j_t = argmax_j |a_j - P a_j|,   P = projector on a_{j_0} .. a_{j_{t-1}},   |R_tt| = that norm
//
// Businger & Golub 1965, LAPACK's geqp3, stopped at the k-th pivot; found by gemm (linalg/pivoted_cholesky.hpp).
#pragma once

#include <algorithm>  // min
#include <concepts>   // same_as
#include <string>
#include <type_traits>  // remove_const
#include <utility>      // as_const, move

#include <graft/base/require.hpp>
#include <graft/core/bf16.hpp>
#include <graft/core/tensor.hpp>
#include <graft/core/view.hpp>
#include <graft/linalg/items.hpp>
#include <graft/linalg/pivoted_cholesky.hpp>

namespace graft::linalg {

/// What PMSS keeps of a weight: columns J and rows K.
struct Skeletons {
  Pivots columns;  ///< J
  Pivots rows;     ///< K
};

namespace detail {

/// Whether the backend says that it multiplies bf16 as it is, and quicker than float.
template <class B>
[[nodiscard]] bool multiplies_bf16() {
  if constexpr (requires { B::multiplies_bf16(); }) {
    return B::multiplies_bf16();
  } else {
    return false;
  }
}

template <template <class, class> class Items, class B, class S>
[[nodiscard]] Pivots first_pivots(const B& be, View<const S> weight, Index k, const std::string& where) {
  const Index most = std::min(weight.rows, weight.cols);
  if (k < 0 || k > most) {
    fail("shape.160",
         "pivots: expected at most min(rows, cols) = " + std::to_string(most) + " pivots of a " +
             std::to_string(weight.rows) + " x " + std::to_string(weight.cols) + " weight, found " + std::to_string(k),
         where);
  }
  Pivots found;
  if constexpr (std::same_as<S, bf16>) {
    if (k > 0 && multiplies_bf16<B>()) {
      found = GreedySelection<Items<S, bf16>, B>(be, {weight}).select(k, where);
    }
  }
  if (std::ssize(found.order) < k) {
    found = GreedySelection<Items<S, NumberOf<S>>, B>(be, {weight}).select(k, where, std::move(found));
  }
  return found;
}

}  // namespace detail

/// The first k pivots among the rows of a: QR of a'. Products by `be`, in double of double and in float else; squared norms in
/// double. `where` names the weight in errors.
template <class B, class T>
  requires storable<std::remove_const_t<T>>
[[nodiscard]] Pivots row_pivots(const B& be, View<T> a, Index k, const std::string& where = {}) {
  return detail::first_pivots<RowItems>(be, View<const std::remove_const_t<T>>(a), k, where);
}

/// The first k pivots among the columns of a.
template <class B, class T>
  requires storable<std::remove_const_t<T>>
[[nodiscard]] Pivots column_pivots(const B& be, View<T> a, Index k, const std::string& where = {}) {
  return detail::first_pivots<ColumnItems>(be, View<const std::remove_const_t<T>>(a), k, where);
}

/// c columns J of a, then r rows K of the panel C = a[:, J].
template <class B, class T>
  requires storable<std::remove_const_t<T>>
[[nodiscard]] Skeletons two_stage(const B& be, View<T> a, Index c, Index r, const std::string& where = {}) {
  Skeletons found{.columns = column_pivots(be, a, c, where), .rows = {}};
  Tensor<std::remove_const_t<T>> panel(a.rows, c);
  for (Index i = 0; i < a.rows; ++i) {
    for (Index j = 0; j < c; ++j) {
      panel(i, j) = a(i, found.columns.order[static_cast<std::size_t>(j)]);
    }
  }
  found.rows = row_pivots(be, std::as_const(panel).view(), r, where);
  return found;
}

}  // namespace graft::linalg
