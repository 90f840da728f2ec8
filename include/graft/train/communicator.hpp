// SPDX-License-Identifier: Apache-2.0
// communicator: how the processes of one run add up what each has found. Alone is a run of one process; train/mpi.hpp and
// backends/cuda/nccl.hpp are models for several.
#pragma once

#include <concepts>
#include <span>

#include <graft/base/index.hpp>
#include <graft/core/view.hpp>

namespace graft::train {

/// Process rank() of size(), each of which calls the same in the same order. sum(be, gradients) and sum(numbers) put the sum
/// over all processes in the place of each one's own: the same bits on every process, or they drift apart.
template <class T, class B, class C>
concept communicator =
    std::copy_constructible<T> && requires(T& all, const B& be, std::span<const View<C>> gradients, std::span<double> numbers) {
      { all.rank() } -> std::same_as<Index>;
      { all.size() } -> std::same_as<Index>;
      all.sum(be, gradients);
      all.sum(numbers);
    };

/// One process, whose own numbers are the sum.
struct Alone {
  [[nodiscard]] static constexpr Index rank() { return 0; }  ///< the first
  [[nodiscard]] static constexpr Index size() { return 1; }  ///< and only one
  template <class B, class C>
  void sum(const B&, std::span<const View<C>>) const {}  ///< stays as it is
  void sum(std::span<double>) const {}                   ///< stays as it is
};

}  // namespace graft::train
