// SPDX-License-Identifier: Apache-2.0
// PivotPool: some items of a weight among which the next pivots are looked for, with as much of their Gram matrix as that takes.
//
//   l_t = (a_p A' - sum_{s<t} l_s[p] l_s) / sqrt(d_p),   d_j -= l_t[j]^2     A: the items of the pool
//
// Where the pivot has no row a_p A' yet, one gemm forms the rows of the items that have most left.
#pragma once

#include <algorithm>  // copy_n, fill, max, min, nth_element
#include <cmath>      // sqrt
#include <concepts>   // same_as
#include <cstdint>    // int32_t
#include <utility>    // as_const, move
#include <vector>

#include <graft/base/index.hpp>
#include <graft/core/tensor.hpp>
#include <graft/core/view.hpp>
#include <graft/linalg/gram_schmidt.hpp>
#include <graft/linalg/items.hpp>

namespace graft::linalg::detail {

/// Rows of a small pivoted Cholesky factorization, made one by one. All numbers of an item stand at its place in the pool.
template <class Items>
class PivotPool {
 public:
  using Number = typename Items::Number;  ///< of sums
  using Part = typename Items::Part;      ///< of the items' own numbers

  /// Room for `most` of all items, and for k rows of the factor.
  PivotPool(const Items& all, Index most, Index k)
      : all_(all),
        place_(static_cast<std::size_t>(all.count()), outside),
        vectors_(Items::room(most, all.length())),
        gram_(most, most),
        factor_(k, most) {}

  /// Holds these items from now on; factor(n,t) is what the pivots so far explain of all items.
  void fill(std::vector<std::int32_t> list, View<const Number> factor) {
    items_ = std::move(list);
    formed_from_.assign(items_.size(), unformed);
    rows_ = factor.cols;
    std::fill(place_.begin(), place_.end(), outside);
    for (Index j = 0; j < size(); ++j) {
      at(place_, item(j)) = static_cast<std::int32_t>(j);
    }
    all_.gather_part(items_, 0, Items::part_of(vectors_, 0, size(), all_.length()));
    for_each_run(size(), 16, [&](Index first, Index last) {
      for (Index s = 0; s < rows_; ++s) {
        for (Index j = first; j < last; ++j) {
          factor_(s, j) = factor(item(j), s);
        }
      }
    });
  }

  [[nodiscard]] Index size() const { return std::ssize(items_); }               ///< items in it
  [[nodiscard]] Index item(Index place) const { return at(items_, place); }     ///< that stands there
  [[nodiscard]] bool holds(Index item) const { return at(place_, item) >= 0; }  ///< whether the item is one of them
  /// (t,size): what was known of the items, and the rows of the pivots chosen here.
  [[nodiscard]] View<const Number> factor() const {
    return factor_.view().middle_rows(0, rows_).middle_cols(0, size());
  }

  /// The factor's row of a pivot that it holds, and what that leaves to the others. left: of all items, d; wanted: pivots still
  /// to be found; basis: rows beside which the products are taken.
  template <class B>
  void choose(const B& be, Index pivot, Index wanted, View<const Number> basis, std::vector<double>& left) {
    const Index place = at(place_, pivot);
    if (at(formed_from_, place) == unformed) {
      form(be, candidates(place, wanted, left), basis);
    }
    const View<Number> row = factor_.view().middle_rows(rows_, 1).middle_cols(0, size());
    std::copy_n(gram_.view().row(place), size(), row.data);
    for (Index s = at(formed_from_, place); s < rows_; ++s) {
      be.add(-factor_(s, place), factor().middle_rows(s, 1), row);
    }
    const auto inverse = static_cast<Number>(1 / std::sqrt(at(left, pivot)));
    for (Index j = 0; j < size(); ++j) {
      row.data[j] *= inverse;
      const double share = row.data[j];
      at(left, item(j)) = std::max(at(left, item(j)) - share * share, 0.0);
    }
    at(left, pivot) = 0;
    ++rows_;
  }

 private:
  static constexpr std::int32_t outside = -1;
  static constexpr std::int32_t unformed = -1;
  /// Rows of the Gram matrix that one product forms.
  static constexpr Index block = 32;

  template <class List>
  [[nodiscard]] static auto& at(List& list, Index i) {
    return list[static_cast<std::size_t>(i)];
  }

  /// The place of the pivot, and those of items without a row that have most left, and so are the likely next pivots.
  [[nodiscard]] std::vector<std::int32_t> candidates(Index pivot, Index wanted, const std::vector<double>& left) const {
    const auto rest = [&](Index place) { return at(left, item(place)); };
    std::vector<std::int32_t> list = {static_cast<std::int32_t>(pivot)};
    for (Index j = 0; j < size(); ++j) {
      if (j != pivot && at(formed_from_, j) == unformed && rest(j) > 0) {
        list.push_back(static_cast<std::int32_t>(j));
      }
    }
    const Index most = std::min(block, wanted * 5 / 4 + 2);  // of what is left to find
    if (std::ssize(list) > most) {
      std::nth_element(list.begin() + 1, list.begin() + most - 1, list.end(), [&](std::int32_t a, std::int32_t b) {
        return rest(a) > rest(b) || (rest(a) == rest(b) && a < b);
      });
      list.resize(static_cast<std::size_t>(most));
    }
    return list;
  }

  /// Their rows of the Gram matrix, less what the factor explains of them.
  template <class B>
  void form(const B& be, const std::vector<std::int32_t>& places, View<const Number> basis) {
    constexpr Index run = 64;  // items that one thread multiplies at a time
    const Index many = std::ssize(places);
    std::vector<std::int32_t> list;
    Tensor<Number> shares(many, rows_);
    for (Index i = 0; i < many; ++i) {
      list.push_back(at(items_, at(places, i)));
      at(formed_from_, at(places, i)) = static_cast<std::int32_t>(rows_);
      for (Index s = 0; s < rows_; ++s) {
        shares(i, s) = factor_(s, at(places, i));
      }
    }
    Tensor<Part> chosen(many, all_.length());
    all_.gather(list, chosen.view());
    if constexpr (std::same_as<Part, Number>) {  // else there is no basis
      project_out_twice(be, basis, chosen.view());
    }
    Tensor<Number> formed(many, size());
    for_each_run(size(), run, [&](Index first, Index last) {
      const View<Number> out = formed.view().middle_cols(first, last - first);
      Items::multiply_part(be, std::as_const(chosen).view(),
                           View<const Part>(Items::part_of(vectors_, first, last - first, all_.length())), Number{0},
                           out);  // (b,L)(64,L)' -> (b,64)
      be.gemm_nn(Number{-1}, std::as_const(shares).view(), factor().middle_cols(first, last - first), Number{1}, out);
    });
    for (Index i = 0; i < many; ++i) {
      std::copy_n(formed.view().row(i), size(), gram_.view().row(at(places, i)));
    }
  }

  Items all_;
  std::vector<std::int32_t> items_;  // (P) in it
  std::vector<std::int32_t> place_;  // (n) where an item stands, or outside
  std::vector<std::int32_t>
      formed_from_;         // (P) rows of the factor that its row of the Gram matrix lacks no more, or unformed
  Tensor<Part> vectors_;    // the items, in a room
  Tensor<Number> gram_;     // (P,P) the rows that were formed
  Tensor<Number> factor_;   // (t,P)
  Index rows_;              // of the factor, so far
};

}  // namespace graft::linalg::detail
