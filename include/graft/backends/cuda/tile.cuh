// SPDX-License-Identifier: Apache-2.0
// Tile: a small matrix in the memory that a team shares.
#pragma once

#include <cstddef>  // byte

#include <graft/base/config.hpp>
#include <graft/base/index.hpp>

namespace graft::backends::cuda {

/// Number (i, j) stands at data[i * row + j * col]; one of the two distances is 1.
template <class T>
struct Tile {
  T* data;    ///< number (0, 0)
  Index row;  ///< from one row to the next
  Index col;  ///< from one column to the next

  [[nodiscard]] GRAFT_HD T& operator()(Index i, Index j) const { return data[i * row + j * col]; }  ///< unchecked
  [[nodiscard]] GRAFT_HD Tile<const T> read() const { return {data, row, col}; }                    ///< as an operand
  [[nodiscard]] GRAFT_HD Tile<const T> turned() const { return {data, col, row}; }                  ///< transposed
};

/// c(i, j) += the dot of row i of a and column j of b.
template <class A>
GRAFT_HD void add_dot(Tile<float> c, Tile<const A> a, Tile<const A> b, Index i, Index j, Index k) {
  float sum = 0;
  for (Index s = 0; s < k; ++s) {
    sum += static_cast<float>(a(i, s)) * static_cast<float>(b(s, j));
  }
  c(i, j) += sum;
}

}  // namespace graft::backends::cuda
