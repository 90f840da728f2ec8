// SPDX-License-Identifier: Apache-2.0
// xtensor at the border: the same memory seen from both sides. The only door to xtensor.
//
// Rank 2 throughout: xt::xarray, whose rank is dynamic, does not compile under clang-19 in C++20 (xtensor 0.24).
#pragma once

#include <array>
#include <cstddef>  // size_t
#include <utility>  // move

#if __has_include(<xtensor/containers/xtensor.hpp>)  // since 0.26
#include <xtensor/containers/xadapt.hpp>
#include <xtensor/containers/xtensor.hpp>
#include <xtensor/views/xview.hpp>
#else
#include <xtensor/xadapt.hpp>
#include <xtensor/xtensor.hpp>
#include <xtensor/xview.hpp>
#endif

#include <graft/core/view.hpp>

namespace graft::interop {

/// The View's memory as an xtensor expression of rank 2; writes go through where the View allows them. It is a view of
/// rows x stride numbers cut to its columns: a bare adaptor with strides would write linearly, into the gaps (0.24).
template <class T>
[[nodiscard]] auto as_xtensor(View<T> view) {
  const auto rows = static_cast<std::size_t>(view.rows);
  const auto stride = static_cast<std::size_t>(view.contiguous() ? view.cols : view.stride);
  T* data = view.data;
  return xt::view(xt::adapt(std::move(data), rows * stride, xt::no_ownership(), std::array{rows, stride}), xt::all(),
                  xt::range(Index{0}, view.cols));
}

/// The xtensor's memory as a View, valid while the xtensor lives and keeps its shape.
template <class T>
[[nodiscard]] View<T> view_of(xt::xtensor<T, 2>& array) {
  return {array.data(), static_cast<Index>(array.shape(0)), static_cast<Index>(array.shape(1))};
}
/// The same of an xtensor that is only read.
template <class T>
[[nodiscard]] View<const T> view_of(const xt::xtensor<T, 2>& array) {
  return {array.data(), static_cast<Index>(array.shape(0)), static_cast<Index>(array.shape(1))};
}
/// A temporary would be gone before its View is read.
template <class T>
void view_of(const xt::xtensor<T, 2>&& array) = delete;

}  // namespace graft::interop
