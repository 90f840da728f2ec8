// SPDX-License-Identifier: Apache-2.0
// Skeletons of a matrix: the columns (or rows) that greedy column-pivoted QR picks first.
//
//   for t = 0 .. k-1:  j_t = argmax_j |a_j - P a_j|,   P = projector on a_{j_0} .. a_{j_{t-1}},   |R_tt| = that norm
//
// Businger & Golub 1965, LAPACK's geqp3, stopped at the k-th pivot. Found by gemm instead: pivoted Cholesky of the Gram
// matrix (the same pivots and the same diagonal), whose rows are formed lazily, a block of likely candidates at a time.
#pragma once

#include <algorithm>  // min, partial_sort
#include <array>
#include <charconv>  // to_chars
#include <cmath>     // sqrt, isfinite
#include <concepts>
#include <cstdint>  // int32_t
#include <limits>
#include <string>
#include <utility>  // move
#include <vector>

#include <graft/base/index.hpp>
#include <graft/base/require.hpp>
#include <graft/core/tensor.hpp>
#include <graft/core/view.hpp>
#include <graft/linalg/eigen.hpp>

namespace graft::linalg {

/// Indices in the order of choice, and |diag R|: the norm that each had left when it was chosen.
struct Pivots {
  std::vector<std::int32_t> order;  ///< as they were chosen
  std::vector<double> abs_diag;     ///< what each had left then
};

/// What PMSS keeps of a weight: columns J and rows K.
struct Skeletons {
  Pivots columns;  ///< J
  Pivots rows;     ///< K
};

namespace detail {

[[nodiscard]] inline std::string scientific(double value) {
  std::array<char, 32> text{};
  const auto end = std::to_chars(text.begin(), text.end(), value, std::chars_format::scientific, 2).ptr;
  return {text.begin(), end};
}

/// Greedy selection among the rows of `items`, which on the way are replaced by what is left of them.
/// A template for a reason of its own: who never selects does not compile Eigen's products.
template <std::same_as<double> Number>
class GreedySelection {
 public:
  explicit GreedySelection(EigenMatrix<Number> items) : items_(std::move(items)) {}

  /// The first k pivots; `where` names the weight in errors.
  [[nodiscard]] Pivots select(Index k, const std::string& where) {
    factor_.resize(k, items_.rows());
    measure();
    if (!std::isfinite(left_.sum())) {
      fail("adapter.661", "pivots: the weight holds NaN, infinity, or numbers whose squares overflow", where);
    }
    require_rank(k, where);
    while (std::ssize(pivots_.order) < k) {
      const Index pivot = largest();
      if (left_[pivot] < trusted * start_) {
        deflate();
        require_rank(k, where);
      } else {
        choose(pivot);
      }
    }
    return std::move(pivots_);
  }

 private:
  /// A squared residual is what it was at the start less what was explained since, so its error is about eps * start. It is
  /// trusted down to this share of the largest start; then every item is replaced by its residual and a new start is made.
  static constexpr double trusted = 1e-4;
  /// Squared residuals that agree to this (eps / trusted, with room for long sums) are a tie, and the first index wins. So
  /// neither the instruction set nor the number of threads decides.
  static constexpr double tie = 1e-10;
  /// Rows of the Gram matrix that one gemm forms.
  static constexpr Index block = 32;

  void measure() {
    left_ = items_.rowwise().squaredNorm();
    for (const std::int32_t pivot : pivots_.order) {
      left_[pivot] = 0;
    }
    start_ = left_.maxCoeff();
    chosen_ = 0;
    gram_.clear();
    gram_row_.assign(static_cast<std::size_t>(items_.rows()), -1);
  }

  [[nodiscard]] Index largest() const {
    const double bound = left_.maxCoeff() * (1 - tie);
    Index first = 0;
    while (left_[first] < bound) {
      ++first;
    }
    return first;
  }

  /// One step of Cholesky: the pivot's row of the factor is its row of the Gram matrix less what is explained already.
  void choose(Index pivot) {
    const Index n = items_.rows();
    if (gram_row_[static_cast<std::size_t>(pivot)] < 0) {
      form_gram_rows();
    }
    const auto explained = factor_.topRows(chosen_);  // (t,n)
    auto row = factor_.row(chosen_);                  // (1,n)
    row = Eigen::Map<const Eigen::RowVectorX<Number>>(gram_.data() + gram_row_[static_cast<std::size_t>(pivot)] * n, n);
    row.noalias() -= explained.col(pivot).transpose() * explained;
    const double norm = std::sqrt(left_[pivot]);
    row /= norm;
    left_ = (left_ - row.cwiseAbs2().transpose()).cwiseMax(0);
    left_[pivot] = 0;
    ++chosen_;
    pivots_.order.push_back(static_cast<std::int32_t>(pivot));
    pivots_.abs_diag.push_back(norm);
  }

  /// Forms the rows of the Gram matrix for the items that have most left, and so are the likely next pivots.
  void form_gram_rows() {
    const Index n = items_.rows();
    std::vector<Index> candidates;
    for (Index j = 0; j < n; ++j) {
      if (gram_row_[static_cast<std::size_t>(j)] < 0) {
        candidates.push_back(j);
      }
    }
    const Index count = std::min(block, std::ssize(candidates));
    std::partial_sort(candidates.begin(), candidates.begin() + count, candidates.end(),
                      [&](Index a, Index b) { return left_[a] > left_[b] || (left_[a] == left_[b] && a < b); });
    candidates.resize(static_cast<std::size_t>(count));
    const Index formed = std::ssize(gram_) / n;
    gram_.resize(static_cast<std::size_t>((formed + count) * n));
    const EigenMatrix<Number> chosen = items_(candidates, Eigen::all);
    as_eigen(View<Number>(gram_.data() + formed * n, count, n)).noalias() = chosen * items_.transpose();
    for (Index i = 0; i < count; ++i) {
      gram_row_[static_cast<std::size_t>(candidates[static_cast<std::size_t>(i)])] = formed + i;
    }
  }

  /// items -= (items Q^T) Q, where the rows of Q span the pivots chosen since the last start: Gram-Schmidt, twice.
  void deflate() {
    const std::vector<std::int32_t> recent(pivots_.order.end() - chosen_, pivots_.order.end());
    EigenMatrix<Number> q = items_(recent, Eigen::all);
    for (Index i = 0; i < chosen_; ++i) {
      for (int twice = 0; twice < 2; ++twice) {
        for (Index j = 0; j < i; ++j) {
          q.row(i) -= q.row(i).dot(q.row(j)) * q.row(j);
        }
        q.row(i).normalize();
      }
    }
    const EigenMatrix<Number> explained = items_ * q.transpose();
    items_.noalias() -= explained * q;
    measure();
  }

  /// Beyond the rank every pivot is rounding noise.
  void require_rank(Index k, const std::string& where) const {
    const double eps = std::numeric_limits<double>::epsilon();
    const auto length = static_cast<double>(std::max(items_.rows(), items_.cols()));
    const double noise = pivots_.order.empty() ? 0 : 4 * eps * length * pivots_.abs_diag.front();
    if (std::sqrt(start_) <= noise) {
      const std::size_t rank = pivots_.order.size();
      fail("adapter.660",
           "pivots: the rank of the weight is " + std::to_string(rank) + ", so pivot " + std::to_string(rank + 1) +
               " of " + std::to_string(k) + " would be arbitrary: the largest residual is " +
               scientific(std::sqrt(start_)) + ", expected more than " + scientific(noise),
           where);
    }
  }

  EigenMatrix<Number> items_;    // (n,m) each row an item, less its projection on the pivots before the last start
  EigenMatrix<Number> factor_;   // (k,n) Cholesky, rows since the last start
  std::vector<Number> gram_;     // rows of items * items^T that were formed since
  std::vector<Index> gram_row_;  // (n)   where an item's row stands in gram_, or -1
  Eigen::VectorX<Number> left_;  // (n)   squared residual norms, 0 for pivots
  double start_ = 0;             // largest of left_ at the last start
  Index chosen_ = 0;             // pivots since the last start
  Pivots pivots_;
};

inline void require_count(Index k, Index rows, Index cols, const std::string& where) {
  if (k < 0 || k > std::min(rows, cols)) {
    fail("shape.160",
         "pivots: expected at most min(rows, cols) = " + std::to_string(std::min(rows, cols)) + " pivots of a " +
             std::to_string(rows) + " x " + std::to_string(cols) + " weight, found " + std::to_string(k),
         where);
  }
}

}  // namespace detail

/// The first k pivots among the rows of a: QR of a^T. Computed in double; `where` names the weight in errors.
template <class T>
  requires storable<std::remove_const_t<T>>
[[nodiscard]] Pivots row_pivots(View<T> a, Index k, const std::string& where = {}) {
  detail::require_count(k, a.rows, a.cols, where);
  return k == 0 ? Pivots{} : detail::GreedySelection<double>(to_eigen_double(a)).select(k, where);
}

/// The first k pivots among the columns of a.
template <class T>
  requires storable<std::remove_const_t<T>>
[[nodiscard]] Pivots column_pivots(View<T> a, Index k, const std::string& where = {}) {
  detail::require_count(k, a.rows, a.cols, where);
  return k == 0 ? Pivots{} : detail::GreedySelection<double>(to_eigen_double(a).transpose()).select(k, where);
}

/// c columns J of a, then r rows K of the panel C = a[:, J].
template <class T>
  requires storable<std::remove_const_t<T>>
[[nodiscard]] Skeletons two_stage(View<T> a, Index c, Index r, const std::string& where = {}) {
  Skeletons found{.columns = column_pivots(a, c, where), .rows = {}};
  Tensor<double> panel(a.rows, c);
  for (Index i = 0; i < a.rows; ++i) {
    for (Index j = 0; j < c; ++j) {
      panel(i, j) = to<double>(a(i, found.columns.order[static_cast<std::size_t>(j)]));
    }
  }
  found.rows = row_pivots(panel.view(), r, where);
  return found;
}

}  // namespace graft::linalg
