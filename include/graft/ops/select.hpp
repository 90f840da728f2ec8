// SPDX-License-Identifier: Apache-2.0
// gather and scatter: whole rows or whole columns chosen by index lists (embeddings, edited positions, skeletons), and rows that
// keep only some of their columns (subspaces).
#pragma once

#include <cstdint>
#include <span>

#include <graft/base/require.hpp>
#include <graft/core/scalar.hpp>
#include <graft/core/view.hpp>

namespace graft::ops {

namespace detail {
/// `listed` rows (or columns) go with the entries of `list`, which are below `extent`; the other extents must agree.
template <class I>
void check_list(Index listed, std::span<const I> list, Index extent, bool others_agree) {
  require(listed == static_cast<Index>(list.size()) && others_agree, "shape.127",
          "gather/scatter: the index list and the two matrices disagree in length or width");
  for (const I index : list) {
    require(index >= 0 && static_cast<Index>(index) < extent, "shape.128", "gather/scatter: an index is out of range");
  }
}
}  // namespace detail

/// out(i, :) = from(list[i], :), converted.
template <class I, class S, scalar T>
void gather_rows(View<S> from, std::span<const I> list, View<T> out) {
  detail::check_list(out.rows, list, from.rows, out.cols == from.cols);
  for (Index i = 0; i < out.rows; ++i) {
    const auto source = static_cast<Index>(list[static_cast<std::size_t>(i)]);
    for (Index j = 0; j < out.cols; ++j) {
      out(i, j) = to<T>(from(source, j));
    }
  }
}

/// onto(list[i], :) = rows(i, :).
template <class I, scalar T>
void scatter_rows(In<T> rows, std::span<const I> list, View<T> onto) {
  detail::check_list(rows.rows, list, onto.rows, rows.cols == onto.cols);
  for (Index i = 0; i < rows.rows; ++i) {
    const auto target = static_cast<Index>(list[static_cast<std::size_t>(i)]);
    for (Index j = 0; j < rows.cols; ++j) {
      onto(target, j) = rows(i, j);
    }
  }
}

/// onto(list[i], :) += alpha rows(i, :), in the order of the list.
template <class I, scalar T>
void scatter_add_rows(Same<T> alpha, In<T> rows, std::span<const I> list, View<T> onto) {
  detail::check_list(rows.rows, list, onto.rows, rows.cols == onto.cols);
  for (Index i = 0; i < rows.rows; ++i) {
    const auto target = static_cast<Index>(list[static_cast<std::size_t>(i)]);
    for (Index j = 0; j < rows.cols; ++j) {
      onto(target, j) += alpha * rows(i, j);
    }
  }
}

/// out(:, j) = from(:, list[j]), converted.
template <class I, class S, scalar T>
void gather_cols(View<S> from, std::span<const I> list, View<T> out) {
  detail::check_list(out.cols, list, from.cols, out.rows == from.rows);
  for (Index i = 0; i < out.rows; ++i) {
    for (Index j = 0; j < out.cols; ++j) {
      out(i, j) = to<T>(from(i, static_cast<Index>(list[static_cast<std::size_t>(j)])));
    }
  }
}

/// onto(:, list[j]) += alpha cols(:, j).
template <class I, scalar T>
void scatter_add_cols(Same<T> alpha, In<T> cols, std::span<const I> list, View<T> onto) {
  detail::check_list(cols.cols, list, onto.cols, cols.rows == onto.rows);
  for (Index i = 0; i < cols.rows; ++i) {
    for (Index j = 0; j < cols.cols; ++j) {
      onto(i, static_cast<Index>(list[static_cast<std::size_t>(j)])) += alpha * cols(i, j);
    }
  }
}

/// x(i, j) = 0 where bit j of bits[i] is 0: row i keeps the columns that its bits name. At most 64 columns.
template <scalar T>
void keep_cols(std::span<const std::uint64_t> bits, View<T> x) {
  require(x.rows == static_cast<Index>(bits.size()) && x.cols <= 64, "shape.127",
          "keep_cols: x(T,N) needs a word of bits for each row, and at most 64 columns");
  for (Index i = 0; i < x.rows; ++i) {
    for (Index j = 0; j < x.cols; ++j) {
      if ((bits[static_cast<std::size_t>(i)] >> j & 1u) == 0) {
        x(i, j) = T{};
      }
    }
  }
}

}  // namespace graft::ops
