// SPDX-License-Identifier: Apache-2.0
// GreedySelection: pivoted Cholesky of a Gram matrix A A' that is formed lazily, so that nearly all of the work is gemm.
//
//   d_j = |a_j|^2;   for t = 0 .. k-1:   p = argmax d over all items, the first of ties
//                                        l_t = (a_p A' - sum_{s<t} l_s[p] l_s) / sqrt(d_p),   d_j -= l_t[j]^2
//
// d_j is what item j has left beside the pivots, so these are the pivots and |diag R| of column-pivoted QR (Businger & Golub
// 1965, LAPACK's geqp3). d only falls: an item whose last known d is below the largest needs no l_t[j] until the largest has
// fallen to it. So pivots are looked for in a pool of those that have most left (linalg/pivot_pool.hpp) for as long as none
// outside may have more; then those outside that might are brought up to date, by the rows of the pivots alone.
#pragma once

#include <algorithm>  // find_if, max, max_element, min, nth_element, sort, stable_sort
#include <array>
#include <charconv>  // to_chars
#include <cmath>     // sqrt
#include <concepts>  // same_as
#include <cstdint>   // int32_t
#include <limits>
#include <numeric>  // iota
#include <optional>
#include <span>
#include <string>
#include <utility>  // as_const, move
#include <vector>

#include <graft/base/index.hpp>
#include <graft/base/require.hpp>
#include <graft/core/parallel.hpp>
#include <graft/core/tensor.hpp>
#include <graft/core/view.hpp>
#include <graft/linalg/gram_schmidt.hpp>
#include <graft/linalg/items.hpp>
#include <graft/linalg/pivot_pool.hpp>
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
/// the items' Number. The weight is read in place; beside it lie k vectors, k numbers an item, the pool, and for each thread
/// parts of 256 items.
///
/// Where parts are bf16, products take them as they are, and are exact in float. Beside a basis that cannot be, so selection
/// ends there early, and one whose parts are Numbers goes on with what it has found.
template <class Items, multiplier<typename Items::Number> B>
class GreedySelection {
 public:
  using Number = typename Items::Number;  ///< float, or double of a weight in double
  using Part = typename Items::Part;      ///< Number, or bf16 of a weight in bf16

  /// `pool`: among how many items pivots are looked for at once.
  GreedySelection(const B& be, Items items, Index pool = Items::pool) : be_(be), items_(items), pool_size_(pool) {}

  /// The first k pivots, of which some may be found already; `where` names the weight in errors.
  [[nodiscard]] Pivots select(Index k, const std::string& where, Pivots found = {}) {
    factor_ = Tensor<Number>(items_.count(), k);
    corner_ = Tensor<Number>(k, k);
    vectors_ = Tensor<Part>(k + step - 1, items_.length() + apart);
    pool_.emplace(items_, std::min(pool_size_, items_.count()), k);
    for (Index lane = 0; lane < lane_count(); ++lane) {
      desks_.push_back({Items::room(run, std::min(width, items_.length())), Tensor<Number>(k + step - 1, run + apart)});
    }
    left_ = items_.squared_norms();
    start();
    if (!(start_ < std::numeric_limits<Number>::max()) || (start_ > 0 && start_ < smallest)) {
      fail("adapter.661", "pivots: the weight holds NaN, infinity, or numbers whose squares overflow or vanish", where);
    }
    if constexpr (has_basis) {
      if (!found.order.empty()) {
        pivots_ = std::move(found);
        start_again();
      }
    }
    require_rank(k, where);
    while (wanted() > 0) {
      const Index pivot = largest();
      if (at(left_, pivot) < trusted * start_) {
        if constexpr (has_basis) {
          start_again();
          require_rank(k, where);
        } else {
          break;
        }
      } else if (pool_->holds(pivot)) {
        choose(pivot);
      } else {
        close_pool();
        open_pool();
      }
    }
    return std::move(pivots_);
  }

 private:
  static constexpr bool has_basis = std::same_as<Part, Number>;
  static constexpr double eps = std::numeric_limits<Number>::epsilon();
  /// Squares below this lose digits to the end of the exponents.
  static constexpr double smallest = std::numeric_limits<Number>::min() / eps;
  /// A squared residual is what it was at the start less what was explained since, so its error is about eps * start. It is
  /// trusted down to this share of the largest start (LAPACK's fp32 trusts 3e-4); then all are measured anew.
  static constexpr double trusted = 1e-4;
  /// Squared residuals that agree to this are a tie, and the first index wins: in double eps / trusted with room for long sums,
  /// so that neither the instruction set nor the split of a product decides.
  static constexpr double tie = std::same_as<Number, double> ? 1e-10 : 8 * eps;
  /// Items that are brought up to date at once: those that may have most left, in pools, but not many a pivot still to find.
  static constexpr Index pools = 7;
  static constexpr Index for_one_pivot = 16;
  /// Of them, those that one thread takes; the numbers of each that lie beside each other meanwhile (1 MiB of float, which stays
  /// in the thread's cache); rows solved one by one.
  static constexpr Index run = 256;
  static constexpr Index width = 1024;
  static constexpr Index few = 32;
  /// A gemm of bf16 is compiled for each shape: the extents of such products are multiples of this.
  static constexpr Index step = std::same_as<Part, Number> ? 1 : 64;
  /// Items that are measured anew at once.
  static constexpr Index tile = 256;

  template <class List>
  [[nodiscard]] static auto& at(List& list, Index i) {
    return list[static_cast<std::size_t>(i)];
  }

  [[nodiscard]] Index wanted() const { return corner_.rows() - std::ssize(pivots_.order); }

  /// Forgets what is known: from here on left_ is exact.
  void start() {
    for (const std::int32_t pivot : pivots_.order) {
      at(left_, pivot) = 0;
    }
    start_ = *std::max_element(left_.begin(), left_.end());
    for (const double left : left_) {
      start_ = left >= 0 ? start_ : left;  // NaN
    }
    chosen_ = 0;
    pool_->fill({}, std::as_const(factor_).view().middle_cols(0, 0));
    known_.assign(left_.size(), 0);
  }

  /// What ties with the largest is no less than this.
  [[nodiscard]] double bound() const { return *std::max_element(left_.begin(), left_.end()) * (1 - tie); }

  [[nodiscard]] Index largest() const {
    return std::find_if(left_.begin(), left_.end(), [most = bound()](double left) { return left >= most; }) -
           left_.begin();
  }

  /// One step of Cholesky among the items of the pool: those outside keep what they had left, which bounds what they have.
  void choose(Index pivot) {
    pivots_.order.push_back(static_cast<std::int32_t>(pivot));
    pivots_.abs_diag.push_back(std::sqrt(at(left_, pivot)));
    pool_->choose(be_, pivot, wanted() + 1, std::as_const(basis_).view(), left_);
  }

  /// Keeps what the pool found: its rows of the factor, and its pivots.
  void close_pool() {
    const View<const Number> found = pool_->factor();  // (t,P)
    for_each_run(pool_->size(), 16, [&](Index first, Index last) {
      for (Index j = first; j < last; ++j) {
        for (Index s = chosen_; s < found.rows; ++s) {
          factor_(pool_->item(j), s) = found(s, j);
        }
        at(known_, pool_->item(j)) = static_cast<std::int32_t>(found.rows);
      }
    });
    const std::span<const std::int32_t> pivots(pivots_.order.end() - (found.rows - chosen_), pivots_.order.end());
    const View<Part> rows = pivot_rows(chosen_, found.rows - chosen_);
    items_.gather(pivots, rows);
    if constexpr (has_basis) {
      project_out_twice(be_, std::as_const(basis_).view(), rows);
    }
    for (const std::int32_t pivot : pivots) {
      std::copy_n(factor_.view().row(pivot), chosen_ + 1, corner_.view().row(chosen_));
      ++chosen_;
    }
  }

  /// A pool of items whose d is known, the largest among them; none where d has fallen too far to be trusted.
  void open_pool() {
    for (Index next = largest(); at(known_, next) < chosen_ && at(left_, next) >= trusted * start_; next = largest()) {
      bring_up_to_date(most_left(pools * pool_size_, [&](Index item) { return at(known_, item) < chosen_; }));
    }
    pool_->fill(most_left(pool_size_, [&](Index item) { return at(known_, item) == chosen_; }),
                std::as_const(factor_).view().middle_cols(0, chosen_));
  }

  /// In ascending order, those of the items that may have most left that are asked for. What ties is taken from the front.
  template <class Asked>
  [[nodiscard]] std::vector<std::int32_t> most_left(Index many, const Asked& asked) const {
    std::vector<std::int32_t> list;
    for (Index j = 0; j < items_.count(); ++j) {
      if (at(left_, j) > 0 && asked(j)) {
        list.push_back(static_cast<std::int32_t>(j));
      }
    }
    many = std::min(many, for_one_pivot * wanted());
    if (many < std::ssize(list)) {
      const double most = bound();
      std::nth_element(list.begin(), list.begin() + many, list.end(), [&](std::int32_t a, std::int32_t b) {
        const double left_a = std::min(at(left_, a), most);
        const double left_b = std::min(at(left_, b), most);
        return left_a > left_b || (left_a == left_b && a < b);
      });
      list.resize(static_cast<std::size_t>(many));
      std::sort(list.begin(), list.end());
    }
    return list;
  }

  /// Items of which as many rows of the factor are known: what one thread brings up to date, from weight to factor.
  struct Run {
    std::span<const std::int32_t> list;
    Index known = 0;
  };
  /// Where it does so: a part of each item, and their rows of the factor. Its pages are taken once a selection.
  struct Desk {
    Tensor<Part> room;
    Tensor<Number> rows;
  };

  /// The rows of the factor that these items lack, and what they have left beside all pivots.
  void bring_up_to_date(std::vector<std::int32_t> list) {
    std::stable_sort(list.begin(), list.end(),
                     [&](std::int32_t a, std::int32_t b) { return at(known_, a) < at(known_, b); });
    std::vector<Run> runs;  // those that lack most first
    for (auto from = list.begin(); from != list.end();) {
      const auto other = [&](std::int32_t item) { return at(known_, item) != at(known_, *from); };
      const auto to = std::find_if(from, from + std::min(run, list.end() - from), other);
      runs.push_back({{from, to}, at(known_, *from)});
      from = to;
    }
    const auto work = [&](Index i, Index lane) {
      const Run& one = at(runs, i);
      const Index many = step * ceil_div(std::ssize(one.list), step);
      const Index missing = step * ceil_div(chosen_ - one.known, step);
      Tensor<Part>& room = at(desks_, lane).room;
      const View<Number> rows = at(desks_, lane).rows.view();
      for (Index begin = 0; begin < items_.length(); begin += width) {
        const Index numbers = std::min(width, items_.length() - begin);
        items_.gather_part(one.list, begin, Items::part_of(room, 0, std::ssize(one.list), numbers));
        Items::multiply_part(be_, View<const Part>(pivot_rows(one.known, missing)).middle_cols(begin, numbers),
                             View<const Part>(Items::part_of(room, 0, many, numbers)), Number(begin > 0),
                             rows.middle_rows(one.known, missing).middle_cols(0, many));  // (s,w)(b,w)' -> (s,b)
      }
      solve(one, rows.middle_rows(0, chosen_).middle_cols(0, std::ssize(one.list)));
    };
    if (in_parallel()) {
      for (Index i = 0; i < std::ssize(runs); ++i) {
        work(i, 0);
      }
    } else {
      parallel_for(std::ssize(runs), work);
    }
  }

  /// From products with the pivots to rows of the factor: forward substitution with the pivots' own rows.
  void solve(const Run& of, View<Number> rows) {
    const View<const Number> done(rows);
    const View<const Number> corner = std::as_const(corner_).view();
    for (Index j = 0; j < rows.cols; ++j) {
      for (Index s = 0; s < of.known; ++s) {
        rows(s, j) = factor_(at(of.list, j), s);
      }
    }
    for (Index begin = of.known; begin < chosen_; begin += few) {
      const Index end = std::min(begin + few, chosen_);
      if (begin > 0) {
        be_.gemm_nn(Number{-1}, corner.middle_rows(begin, end - begin).middle_cols(0, begin),
                    done.middle_rows(0, begin), Number{1}, rows.middle_rows(begin, end - begin));
      }
      for (Index s = begin; s < end; ++s) {
        for (Index u = begin; u < s; ++u) {
          be_.add(-corner(s, u), done.middle_rows(u, 1), rows.middle_rows(s, 1));
        }
        const Number inverse = 1 / corner(s, s);
        for (Index j = 0; j < rows.cols; ++j) {
          rows(s, j) *= inverse;
        }
      }
    }
    for (Index j = 0; j < rows.cols; ++j) {
      const std::int32_t item = at(of.list, j);
      double explained = 0;
      for (Index s = of.known; s < chosen_; ++s) {
        factor_(item, s) = rows(s, j);
        explained += static_cast<double>(rows(s, j)) * static_cast<double>(rows(s, j));
      }
      at(left_, item) = std::max(at(left_, item) - explained, 0.0);
      at(known_, item) = static_cast<std::int32_t>(chosen_);
    }
  }

  /// The vectors of pivots since the start.
  [[nodiscard]] View<Part> pivot_rows(Index begin, Index many) {
    return vectors_.view().middle_rows(begin, many).middle_cols(0, items_.length());
  }

  /// What rounding has left of the squared norms is thrown away: all items are measured beside an orthonormal basis Q of the
  /// pivots. From here on pivots are projected before their products, whose error is then relative to what they have left.
  void start_again() {
    extend_basis();
    Tensor<Number> some(std::min(tile, items_.count()), items_.length());
    std::vector<std::int32_t> list(static_cast<std::size_t>(some.rows()));
    for (Index begin = 0; begin < items_.count(); begin += tile) {
      const View<Number> rows = some.view().middle_rows(0, std::min(tile, items_.count() - begin));
      std::iota(list.begin(), list.end(), static_cast<std::int32_t>(begin));
      items_.gather(list, rows);
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
    const std::span<const std::int32_t> recent(pivots_.order.begin() + old, pivots_.order.end());
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
  Index pool_size_;
  std::vector<double> left_;         // (n)   squared residual norms when known_ pivots were chosen, 0 for pivots
  std::vector<std::int32_t> known_;  // (n)   rows of the factor that left_ and factor_ know
  Tensor<Number> factor_;            // (n,k) Cholesky, since the last start; an item's numbers side by side
  Tensor<Number> corner_;            // (k,k) the pivots' rows of it
  Tensor<Part> vectors_;             // (k,m) the pivots since the last start, beside those before
  double start_ = 0;                 // largest of left_ at the last start
  Index chosen_ = 0;                 // pivots since the last start, less those of the open pool
  std::optional<PivotPool<Items>> pool_;
  std::vector<Desk> desks_;  // one a lane
  Tensor<Number> basis_;  // (t,m) orthonormal, of the pivots before the last start
  Pivots pivots_;
};

}  // namespace detail
}  // namespace graft::linalg
