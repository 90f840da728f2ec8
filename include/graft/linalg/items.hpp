// SPDX-License-Identifier: Apache-2.0
// RowItems, ColumnItems: a weight seen as a list of vectors, its rows or its columns, where it stands.
#pragma once

#include <algorithm>  // copy_n, min, transform
#include <concepts>
#include <cstdint>  // int32_t
#include <numeric>  // iota
#include <span>
#include <type_traits>  // conditional
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

/// Numbers between two rows of a room, beside their own: rows that are a power of two apart fall on the same lines of a cache
/// (gemm_nn of 96 x 256 by 256 x 512: 72 GFLOP/s a core so, 43 without; docs/decisions/0016-skeletons-by-gemm.md).
inline constexpr Index apart = 16;

}  // namespace detail

/// The N rows of a weight (N,M). P: in which parts of them are gathered and multiplied; bf16 of a bf16 weight where the
/// processor multiplies that, else its Number.
template <class S, class P = detail::NumberOf<S>>
struct RowItems {
  using Number = detail::NumberOf<S>;  ///< of sums
  using Part = P;                      ///< of gathered parts
  /// Items among which pivots are looked for at once: a row is gathered for little.
  static constexpr Index pool = 512;

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
  void gather(std::span<const std::int32_t> list, View<T> out) const {
    gather_part(list, 0, out);
  }

  /// Memory for `width` numbers of each of `many` items.
  [[nodiscard]] static Tensor<Part> room(Index many, Index width) { return {many, width + detail::apart}; }
  /// The part of a room that holds these numbers of the items [first, first + many).
  [[nodiscard]] static View<Part> part_of(Tensor<Part>& room, Index first, Index many, Index width) {
    return room.view().middle_rows(first, many).middle_cols(0, width);
  }
  /// part(i, :) = a_list[i] from its number `begin` on.
  template <class T>
  void gather_part(std::span<const std::int32_t> list, Index begin, View<T> part) const {
    detail::for_each_run(part.rows, 16, [&](Index first, Index last) {
      for (Index i = first; i < last; ++i) {
        const S* const from = weight.row(list[static_cast<std::size_t>(i)]) + begin;
        if constexpr (std::same_as<S, T>) {
          std::copy_n(from, part.cols, part.row(i));
        } else {
          std::transform(from, from + part.cols, part.row(i), [](S value) { return to<T>(value); });
        }
      }
    });
  }
  /// out = c part' + beta out.
  template <class B>
  static void multiply_part(const B& be, View<const Part> c, View<const Part> part, Number beta, View<Number> out) {
    be.gemm_nt(Number{1}, c, part, beta, out);
  }
};

/// The M columns of a weight (N,M); nobody transposes it. P: as in RowItems.
template <class S, class P = detail::NumberOf<S>>
struct ColumnItems {
  using Number = detail::NumberOf<S>;  ///< of sums
  using Part = P;                      ///< of gathered parts
  /// Items among which pivots are looked for at once: some columns cost nearly a pass over the weight, so it is done seldom.
  static constexpr Index pool = 1024;

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
  void gather(std::span<const std::int32_t> list, View<T> out) const {
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

  /// Memory for `width` numbers of each of `many` items.
  [[nodiscard]] static Tensor<Part> room(Index many, Index width) { return {width, many + detail::apart}; }
  /// The part of a room that holds these numbers of the items [first, first + many).
  [[nodiscard]] static View<Part> part_of(Tensor<Part>& room, Index first, Index many, Index width) {
    return room.view().middle_rows(0, width).middle_cols(first, many);
  }
  /// part(:, j) = a_list[j] from its number `begin` on.
  void gather_part(std::span<const std::int32_t> list, Index begin, View<Part> part) const {
    detail::for_each_run(part.rows, 16, [&](Index first, Index last) {
      for (Index i = first; i < last; ++i) {
        const S* const from = weight.row(begin + i);
        const S* const next = weight.row(std::min(begin + i + 1, length() - 1));
        Part* const to_row = part.row(i);
        for (Index j = 0; j < part.cols; ++j) {
          const Index column = list[static_cast<std::size_t>(j)];
          to_row[j] = to<Part>(from[column]);
          __builtin_prefetch(next + column);  // no hardware foresees a list
        }
      }
    });
  }
  /// out = c part + beta out.
  template <class B>
  static void multiply_part(const B& be, View<const Part> c, View<const Part> part, Number beta, View<Number> out) {
    be.gemm_nn(Number{1}, c, part, beta, out);
  }
};

/// out(b,count) = c(b,length) items'.
template <class Items, class B, class Number = typename Items::Number>
void multiply(const B& be, const Items& items, View<const Number> c, View<Number> out) {
  constexpr Index few = 128;
  constexpr Index width = 512;
  std::vector<std::int32_t> all(static_cast<std::size_t>(items.count()));
  std::iota(all.begin(), all.end(), 0);
  detail::for_each_run(items.count(), few, [&](Index first, Index last) {
    const Index many = last - first;
    Tensor<Number> room = Items::room(many, width);
    for (Index begin = 0; begin < items.length(); begin += width) {
      const Index numbers = std::min(width, items.length() - begin);
      const View<Number> part = Items::part_of(room, 0, many, numbers);
      items.gather_part(std::span(all).subspan(static_cast<std::size_t>(first)), begin, part);
      Items::multiply_part(be, c.middle_cols(begin, numbers), View<const Number>(part), Number(begin > 0),
                           out.middle_cols(first, many));
    }
  });
}

}  // namespace graft::linalg
