// SPDX-License-Identifier: Apache-2.0
// GreedySelection: pivoted Cholesky of a Gram matrix A A' that is formed lazily, so that nearly all of the work is gemm.
//
//   d_j = |a_j|^2;   for t = 0 .. k-1:   p = argmax d over all items, the first of ties
//                                        l_t = (a_p A' - sum_{s<t} l_s[p] l_s) / sqrt(d_p),   d_j -= l_t[j]^2
//
// d_j is what item j has left beside the pivots, so these are the pivots and |diag R| of column-pivoted QR (Businger & Golub
// 1965, LAPACK's geqp3). Where p has no row a_p A' yet, one gemm forms the rows of the `block` items that have most left.
#pragma once

#include <algorithm>  // max, max_element, min, nth_element, sort
#include <array>
#include <charconv>  // to_chars
#include <cmath>     // isfinite, sqrt
#include <concepts>  // same_as
#include <cstdint>   // int32_t
#include <limits>
#include <string>
#include <utility>  // as_const, move
#include <vector>

#include <graft/base/index.hpp>
#include <graft/base/require.hpp>
#include <graft/core/tensor.hpp>
#include <graft/core/view.hpp>
#include <graft/linalg/gram_schmidt.hpp>
#include <graft/linalg/squared_norm.hpp>

namespace graft::linalg {

/// Indices in the order of choice, and |diag R|: the norm that each had left when it was chosen.
struct Pivots {
  std::vector<std::int32_t> order;  ///< as they were chosen
  std::vector<double> abs_diag;     ///< what each had left then
};

namespace detail {

[[nodiscard]] inline std::string scientific(double value) {
  std::array<char, 32> text{};
  const auto end = std::to_chars(text.begin(), text.end(), value, std::chars_format::scientific, 2).ptr;
  return {text.begin(), end};
}

/// Greedy selection among Items (RowItems or ColumnItems of a weight). Squared norms are kept in double, all else is summed in
/// the items' Number. Memory: k + a few `block`s of rows as long as there are items; the weight is read in place.
template <class Items, multiplier<typename Items::Stored, typename Items::Number> B>
class GreedySelection {
 public:
  using Number = typename Items::Number;  ///< float, or double of a weight in double

  GreedySelection(const B& be, Items items) : be_(be), items_(items) {}

  /// The first k pivots; `where` names the weight in errors.
  [[nodiscard]] Pivots select(Index k, const std::string& where) {
    factor_ = Tensor<Number>(k, items_.count());
    left_ = items_.squared_norms();
    start();
    if (!(start_ < std::numeric_limits<Number>::max()) || (start_ > 0 && start_ < smallest)) {
      fail("adapter.661", "pivots: the weight holds NaN, infinity, or numbers whose squares overflow or vanish", where);
    }
    require_rank(k, where);
    while (std::ssize(pivots_.order) < k) {
      const Index pivot = largest();
      if (at(left_, pivot) < trusted * start_) {
        start_again();
        require_rank(k, where);
      } else {
        choose(pivot);
      }
    }
    return std::move(pivots_);
  }

 private:
  static constexpr double eps = std::numeric_limits<Number>::epsilon();
  /// Squares below this lose digits to the end of the exponents.
  static constexpr double smallest = std::numeric_limits<Number>::min() / eps;
  /// A squared residual is what it was at the start less what was explained since, so its error is about eps * start. It is
  /// trusted down to this share of the largest start (LAPACK's fp32 trusts 3e-4); then all are measured anew.
  static constexpr double trusted = 1e-4;
  /// Squared residuals that agree to this are a tie, and the first index wins: in double eps / trusted with room for long sums,
  /// so that neither the instruction set nor the split of a product decides.
  static constexpr double tie = std::same_as<Number, double> ? 1e-10 : 8 * eps;
  /// Rows of the Gram matrix that one product forms: of 4096 x 4096 random numbers 640 pivots need 900 in blocks of 128 and 990
  /// in blocks of 192. And the most blocks that are kept: unused rows of older ones are formed again.
  static constexpr Index block = Items::block;
  static constexpr Index kept_blocks = 1152 / block;
  /// Rows of the factor that a block may lack before all of its rows are brought up to date by one gemm, not the pivot's alone.
  static constexpr Index stale = 32;
  /// Items that are measured anew at once.
  static constexpr Index tile = 256;

  /// Rows of the Gram matrix less what the first `explained` rows of the factor explain.
  struct Block {
    Tensor<Number> rows;
    std::vector<std::int32_t> items;
    Index explained = 0;
  };
  static constexpr std::int32_t unformed = -1;

  template <class T>
  [[nodiscard]] static T& at(std::vector<T>& list, Index i) {
    return list[static_cast<std::size_t>(i)];
  }

  /// Forgets what was formed: from here on left_ is exact.
  void start() {
    for (const std::int32_t pivot : pivots_.order) {
      at(left_, pivot) = 0;
    }
    start_ = *std::max_element(left_.begin(), left_.end());
    for (const double left : left_) {
      start_ = left >= 0 ? start_ : left;  // NaN
    }
    chosen_ = 0;
    blocks_.clear();
    slot_.assign(left_.size(), unformed);
  }

  [[nodiscard]] Index largest() const {
    const double bound = *std::max_element(left_.begin(), left_.end()) * (1 - tie);
    return std::find_if(left_.begin(), left_.end(), [&](double left) { return left >= bound; }) - left_.begin();
  }

  /// One step of Cholesky: the pivot's row of the factor is its row of the Gram matrix less what is explained already.
  void choose(Index pivot) {
    if (at(slot_, pivot) == unformed) {
      form_block(pivot);
    }
    Block& from = blocks_[static_cast<std::size_t>(at(slot_, pivot) / block)];
    if (chosen_ - from.explained >= stale) {
      explain(from);
    }
    const View<Number> row = factor_.view().middle_rows(chosen_, 1);
    std::copy_n(from.rows.view().row(at(slot_, pivot) % block), row.cols, row.data);
    for (Index s = from.explained; s < chosen_; ++s) {  // a product of one row is over before a second thread has begun
      const auto known = std::as_const(factor_).view().middle_rows(s, 1);
      be_.add(-known(0, pivot), known, row);
    }
    const double norm = std::sqrt(at(left_, pivot));
    const auto inverse = static_cast<Number>(1 / norm);
    for (Index j = 0; j < row.cols; ++j) {
      row.data[j] *= inverse;
      const double share = row.data[j];
      at(left_, j) = std::max(at(left_, j) - share * share, 0.0);
    }
    at(left_, pivot) = 0;
    ++chosen_;
    pivots_.order.push_back(static_cast<std::int32_t>(pivot));
    pivots_.abs_diag.push_back(norm);
  }

  /// The pivot and other unformed items that have most left, and so are the likely next pivots, in the order of the weight.
  [[nodiscard]] std::vector<std::int32_t> candidates(Index pivot) {
    std::vector<std::int32_t> list = {static_cast<std::int32_t>(pivot)};
    for (Index j = 0; j < items_.count(); ++j) {
      if (j != pivot && at(slot_, j) == unformed && at(left_, j) > 0) {
        list.push_back(static_cast<std::int32_t>(j));
      }
    }
    // What is left to find bounds what can be of use: the last block is a small one.
    const Index wanted = std::min(block, (factor_.rows() - std::ssize(pivots_.order)) * 5 / 4 + 2);
    if (std::ssize(list) > wanted) {
      const auto before = [&](std::int32_t a, std::int32_t b) {
        return at(left_, a) > at(left_, b) || (at(left_, a) == at(left_, b) && a < b);
      };
      std::nth_element(list.begin() + 1, list.begin() + wanted - 1, list.end(), before);
      list.resize(static_cast<std::size_t>(wanted));
    }
    std::sort(list.begin(), list.end());
    return list;
  }

  /// Forms their rows of the Gram matrix, and subtracts what the factor explains of them.
  void form_block(Index pivot) {
    drop_oldest();
    Block formed{{}, candidates(pivot), 0};
    const Index rows = std::ssize(formed.items);
    formed.rows = Tensor<Number>(rows, items_.count());
    if (basis_.rows() == 0) {
      Tensor<typename Items::Stored> chosen(rows, items_.length());
      items_.gather(formed.items, chosen.view());
      items_.multiply(be_, std::as_const(chosen).view(), formed.rows.view());
    } else {
      Tensor<Number> chosen(rows, items_.length());
      items_.gather(formed.items, chosen.view());
      project_out(be_, std::as_const(basis_).view(), chosen.view());
      project_out(be_, std::as_const(basis_).view(), chosen.view());
      items_.multiply(be_, std::as_const(chosen).view(), formed.rows.view());
    }
    explain(formed);
    for (Index i = 0; i < rows; ++i) {
      at(slot_, at(formed.items, i)) = static_cast<std::int32_t>(std::ssize(blocks_) * block + i);
    }
    blocks_.push_back(std::move(formed));
  }

  /// The rows of a block, less what the factor explains of them since the block was last explained.
  void explain(Block& of) const {
    const Index since = chosen_ - of.explained;
    if (since > 0) {
      const auto factor = std::as_const(factor_).view().middle_rows(of.explained, since);
      Tensor<Number> shares(of.rows.rows(), since);
      for (Index i = 0; i < shares.rows(); ++i) {
        for (Index s = 0; s < since; ++s) {
          shares(i, s) = factor(s, of.items[static_cast<std::size_t>(i)]);
        }
      }
      be_.gemm_nn(Number{-1}, std::as_const(shares).view(), factor, Number{1}, of.rows.view());  // (b,s)(s,n) -> (b,n)
    }
    of.explained = chosen_;
  }

  void drop_oldest() {
    if (std::ssize(blocks_) < kept_blocks) {
      return;
    }
    for (const std::int32_t item : blocks_.front().items) {
      at(slot_, item) = unformed;
    }
    blocks_.erase(blocks_.begin());
    for (std::int32_t& slot : slot_) {
      slot = slot == unformed ? unformed : slot - static_cast<std::int32_t>(block);
    }
  }

  /// What rounding has left of the squared norms is thrown away: all items are measured beside an orthonormal basis Q of the
  /// pivots. From here on candidates are projected before their products, whose error is then relative to what they have left.
  void start_again() {
    extend_basis();
    Tensor<Number> some(std::min(tile, items_.count()), items_.length());
    for (Index begin = 0; begin < items_.count(); begin += tile) {
      const View<Number> rows = some.view().middle_rows(0, std::min(tile, items_.count() - begin));
      items_.widen(begin, rows);
      project_out(be_, std::as_const(basis_).view(), rows);
      for (Index i = 0; i < rows.rows; ++i) {
        at(left_, begin + i) = squared_norm(View<const Number>(rows.middle_rows(i, 1)));
      }
    }
    start();
  }

  /// The pivots that are new join the basis.
  void extend_basis() {
    const Index old = basis_.rows();
    Tensor<Number> longer(std::ssize(pivots_.order), items_.length());
    const std::vector<std::int32_t> recent(pivots_.order.begin() + old, pivots_.order.end());
    if (old > 0) {
      be_.copy(std::as_const(basis_).view(), longer.view().middle_rows(0, old));
    }
    basis_ = std::move(longer);
    items_.gather(recent, basis_.view().middle_rows(old, std::ssize(recent)));
    orthonormalize_after(be_, basis_.view(), old);
  }

  /// Beyond the rank every pivot is rounding noise.
  void require_rank(Index k, const std::string& where) const {
    const double length = std::sqrt(static_cast<double>(std::max(items_.count(), items_.length())));
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

  const B& be_;
  Items items_;
  Tensor<Number> factor_;           // (k,n) Cholesky, rows since the last start
  std::vector<Block> blocks_;       // rows of the Gram matrix that were formed since
  std::vector<std::int32_t> slot_;  // (n)   block * its number + row, or unformed
  std::vector<double> left_;        // (n)   squared residual norms, 0 for pivots
  double start_ = 0;                // largest of left_ at the last start
  Index chosen_ = 0;                // pivots since the last start
  Tensor<Number> basis_;            // (t,m) orthonormal, of the pivots before the last start
  Pivots pivots_;
};

}  // namespace detail
}  // namespace graft::linalg
