// SPDX-License-Identifier: Apache-2.0
// View: rows x columns with a row stride in a memory space. The one currency between files, layers and kernels.
#pragma once

#include <concepts>
#include <type_traits>

#include <graft/base/config.hpp>
#include <graft/base/index.hpp>
#include <graft/base/require.hpp>

namespace graft {

/// Memory that the processor reaches.
struct Host {};
/// Memory of an accelerator: its views carry shapes and pointers, and no way to reach an element from here.
struct Device {};

/// A matrix somewhere in memory, not owned. Row i starts at data + i * stride; a vector is a 1 x N view.
template <class T, class Space = Host>
struct View {
  using value_type = std::remove_const_t<T>;  ///< T without const

  T* data = nullptr;  ///< element (0, 0)
  Index rows = 0;     ///< may be 0
  Index cols = 0;     ///< may be 0
  Index stride = 0;   ///< numbers from one row to the next, at least cols

  constexpr View() = default;
  /// Rows that stand row_stride numbers apart.
  GRAFT_HD constexpr View(T* pointer, Index row_count, Index col_count, Index row_stride)
      : data(pointer), rows(row_count), cols(col_count), stride(row_stride) {}
  /// Rows that stand close: stride = cols.
  GRAFT_HD constexpr View(T* pointer, Index row_count, Index col_count)
      : View(pointer, row_count, col_count, col_count) {}

  /// Whoever may write may read; there is no way back.
  GRAFT_HD constexpr operator View<const T, Space>() const  // NOLINT: a view that reads is a view
    requires(!std::is_const_v<T>)
  {
    return {data, rows, cols, stride};
  }

  /// Element (i, j), unchecked; a Device view has none.
  [[nodiscard]] GRAFT_HD constexpr T& operator()(Index i, Index j) const
    requires std::same_as<Space, Host>
  {
    return data[i * stride + j];
  }
  [[nodiscard]] GRAFT_HD constexpr T* row(Index i) const { return data + i * stride; }              ///< start of row i
  [[nodiscard]] GRAFT_HD constexpr Index size() const { return rows * cols; }                       ///< rows * cols
  [[nodiscard]] GRAFT_HD constexpr bool empty() const { return rows == 0 || cols == 0; }            ///< no element
  [[nodiscard]] GRAFT_HD constexpr bool contiguous() const { return stride == cols || rows <= 1; }  ///< no gaps

  /// Rows begin .. begin + count.
  [[nodiscard]] GRAFT_HD constexpr View middle_rows(Index begin, Index count) const {
    return {data == nullptr ? nullptr : data + begin * stride, count, cols, stride};
  }
  /// Columns begin .. begin + count.
  [[nodiscard]] GRAFT_HD constexpr View middle_cols(Index begin, Index count) const {
    return {data == nullptr ? nullptr : data + begin, rows, count, stride};
  }
  /// The same numbers in another shape of equal size; the view must be contiguous.
  [[nodiscard]] constexpr View reshape(Index row_count, Index col_count) const {
    require(contiguous() && row_count * col_count == size(), "shape.102",
            "reshape: the view must be contiguous and keep its size");
    return {data, row_count, col_count, col_count};
  }
};

/// An input whose element type another argument decides: every view of T converts, constant or not.
template <class T, class Space = Host>
using In = std::type_identity_t<View<const T, Space>>;

/// A scalar argument whose type another argument decides.
template <class T>
using Same = std::type_identity_t<T>;

}  // namespace graft
