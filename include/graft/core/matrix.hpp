// SPDX-License-Identifier: Apache-2.0
// matrix: anything with rows, columns and elements that can be reached from here.
#pragma once

#include <concepts>

#include <graft/base/index.hpp>
#include <graft/core/view.hpp>

namespace graft {

/// Has a shape; says nothing about where the elements live.
template <class M>
concept shaped = requires(const M& m) {
  { m.rows } -> std::convertible_to<Index>;
  { m.cols } -> std::convertible_to<Index>;
};

/// Shaped, and element (i, j) can be read from here; a Device view is not.
template <class M>
concept matrix = shaped<M> && requires(const M& m, Index i) { m(i, i); };

/// A matrix whose elements can be assigned.
template <class M>
concept writable_matrix = matrix<M> && requires(const M& m, Index i) { m(i, i) = m(i, i); };

static_assert(writable_matrix<View<float>> && matrix<View<const float>> && !writable_matrix<View<const float>>);
static_assert(shaped<View<float, Device>> && !matrix<View<float, Device>>);

}  // namespace graft
