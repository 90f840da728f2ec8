// SPDX-License-Identifier: Apache-2.0
// RowItems, ColumnItems: a weight seen as a list of vectors, its rows or its columns, where it stands.
#pragma once

#include <algorithm>  // min
#include <concepts>
#include <cstdint>      // int32_t
#include <type_traits>  // conditional
#include <utility>      // as_const
#include <vector>

#include <graft/base/index.hpp>
#include <graft/core/parallel.hpp>
#include <graft/core/scalar.hpp>
#include <graft/core/tensor.hpp>
#include <graft/core/view.hpp>
#include <graft/linalg/squared_norm.hpp>

namespace graft::linalg {

namespace detail {

/// Calls body(begin, end) for runs of `run` numbers below count, on the threads of the pool unless this is one of them.
template <class Body>
void for_each_run(Index count, Index run, const Body& body) {
  const Index tasks = ceil_div(count, run);
  const auto one = [&](Index task) { body(task * run, std::min(count, (task + 1) * run)); };
  if (tasks > 1 && !in_parallel()) {
    parallel_for(tasks, [&](Index task, Index) { one(task); });
  } else {
    for (Index task = 0; task < tasks; ++task) {
      one(task);
    }
  }
}

/// Sums of products are made in double of double, else in float: bf16 multiplies exactly there.
template <class S>
using NumberOf = std::conditional_t<std::same_as<S, double>, double, float>;

/// out(i, j) = from(j, i), by squares that stay in cache.
template <class S, class T>
void transpose(View<const S> from, View<T> out) {
  constexpr Index side = 16;
  for (Index begin = 0; begin < out.cols; begin += side) {
    const Index end = std::min(begin + side, out.cols);
    for (Index i = 0; i < out.rows; ++i) {
      for (Index j = begin; j < end; ++j) {
        out(i, j) = to<T>(from(j, i));
      }
    }
  }
}

/// out = c items', of numbers as they are summed: the weight is widened a tile at a time.
template <class Items, class B, class T>
void multiply_widened(const Items& items, const B& be, View<const T> c, View<T> out) {
  constexpr Index tile = 256;
  Tensor<T> some(std::min(tile, items.count()), items.length());
  for (Index begin = 0; begin < items.count(); begin += tile) {
    const Index count = std::min(tile, items.count() - begin);
    items.widen(begin, some.view().middle_rows(0, count));
    be.gemm_nt(T{1}, c, std::as_const(some).view().middle_rows(0, count), T{0}, out.middle_cols(begin, count));
  }
}

}  // namespace detail

/// The N rows of a weight (N,M).
template <class S>
struct RowItems {
  using Stored = S;                    ///< of the weight
  using Number = detail::NumberOf<S>;  ///< of sums
  /// Vectors that one call of multiply() takes at a good rate.
  static constexpr Index block = std::same_as<S, Number> ? 128 : 192;

  View<const S> weight;  ///< (N,M)

  [[nodiscard]] Index count() const { return weight.rows; }   ///< N
  [[nodiscard]] Index length() const { return weight.cols; }  ///< M

  /// |a_i|^2.
  [[nodiscard]] std::vector<double> squared_norms() const {
    std::vector<double> norms(static_cast<std::size_t>(count()));
    detail::for_each_run(count(), 64, [&](Index begin, Index end) {
      for (Index i = begin; i < end; ++i) {
        norms[static_cast<std::size_t>(i)] = squared_norm(weight.middle_rows(i, 1));
      }
    });
    return norms;
  }
  /// out(i, :) = a_list[i].
  template <class T>
  void gather(const std::vector<std::int32_t>& list, View<T> out) const {
    for (Index i = 0; i < out.rows; ++i) {
      for (Index j = 0; j < out.cols; ++j) {
        out(i, j) = to<T>(weight(list[static_cast<std::size_t>(i)], j));
      }
    }
  }
  /// out(i, :) = a_(begin + i).
  void widen(Index begin, View<Number> out) const {
    detail::for_each_run(out.rows, 16, [&](Index first, Index last) {
      for (Index i = first; i < last; ++i) {
        for (Index j = 0; j < out.cols; ++j) {
          out(i, j) = to<Number>(weight(begin + i, j));
        }
      }
    });
  }
  /// out(b,N) = c(b,M) weight'.
  template <class B, class T>
  void multiply(const B& be, View<const T> c, View<Number> out) const {
    if constexpr (std::same_as<T, S> && std::same_as<T, Number>) {
      multiply_turned(be, c, out);
    } else if constexpr (std::same_as<T, S>) {
      be.gemm_nt(Number{1}, c, weight, Number{0}, out);
    } else {
      detail::multiply_widened(*this, be, c, out);
    }
  }

 private:
  /// out' = weight c', some rows at a time. A gemm library brings its second factor into a form of its own: here that is the
  /// short one, so that 128 vectors are multiplied at the rate that otherwise takes 192.
  template <class B>
  void multiply_turned(const B& be, View<const Number> c, View<Number> out) const {
    constexpr Index strip = 512;
    Tensor<Number> turned(c.cols, c.rows);
    detail::for_each_run(c.cols, strip, [&](Index begin, Index end) {
      detail::transpose(c.middle_cols(begin, end - begin), turned.view().middle_rows(begin, end - begin));
    });
    detail::for_each_run(count(), strip, [&](Index begin, Index end) {
      Tensor<Number> product(end - begin, c.rows);
      be.gemm_nn(Number{1}, weight.middle_rows(begin, end - begin), std::as_const(turned).view(), Number{0},
                 product.view());  // (512,M)(M,b) -> (512,b)
      detail::transpose(std::as_const(product).view(), out.middle_cols(begin, end - begin));
    });
  }
};

/// The M columns of a weight (N,M); nobody transposes it.
template <class S>
struct ColumnItems {
  using Stored = S;                    ///< of the weight
  using Number = detail::NumberOf<S>;  ///< of sums
  /// Vectors that one call of multiply() takes at a good rate.
  static constexpr Index block = 192;

  View<const S> weight;  ///< (N,M)

  [[nodiscard]] Index count() const { return weight.cols; }   ///< M
  [[nodiscard]] Index length() const { return weight.rows; }  ///< N

  /// |a_j|^2.
  [[nodiscard]] std::vector<double> squared_norms() const {
    std::vector<double> norms(static_cast<std::size_t>(count()));
    detail::for_each_run(count(), 512, [&](Index begin, Index end) {
      for (Index i = 0; i < length(); ++i) {
        const S* const row = weight.row(i);
        for (Index j = begin; j < end; ++j) {
          const double value = to<double>(row[j]);
          norms[static_cast<std::size_t>(j)] += value * value;
        }
      }
    });
    return norms;
  }
  /// out(i, :) = a_list[i].
  template <class T>
  void gather(const std::vector<std::int32_t>& list, View<T> out) const {
    detail::for_each_run(length(), 64, [&](Index first, Index last) {
      constexpr Index line = 16;  // numbers that go to one place in out
      for (Index begin = first; begin < last; begin += line) {
        const Index end = std::min(begin + line, last);
        for (Index i = 0; i < out.rows; ++i) {
          for (Index n = begin; n < end; ++n) {
            out(i, n) = to<T>(weight(n, list[static_cast<std::size_t>(i)]));
          }
        }
      }
    });
  }
  /// out(i, :) = a_(begin + i).
  void widen(Index begin, View<Number> out) const {
    detail::for_each_run(length(), 256, [&](Index first, Index last) {
      detail::transpose(weight.middle_rows(first, last - first).middle_cols(begin, out.rows),
                        out.middle_cols(first, last - first));
    });
  }
  /// out(b,M) = c(b,N) weight.
  template <class B, class T>
  void multiply(const B& be, View<const T> c, View<Number> out) const {
    if constexpr (std::same_as<T, S>) {
      be.gemm_nn(Number{1}, c, weight, Number{0}, out);
    } else {
      detail::multiply_widened(*this, be, c, out);
    }
  }
};

}  // namespace graft::linalg
