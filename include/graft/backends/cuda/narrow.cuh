// SPDX-License-Identifier: Apache-2.0
// narrow: products of a few rows, as decoding has them. Their time is that of reading the second factor once, sixteen bytes a
// thread at a time.
#pragma once

#include <cstdint>
#include <type_traits>  // remove_const

#include <graft/backends/cuda/queue.hpp>
#include <graft/base/config.hpp>
#include <graft/core/scalar.hpp>
#include <graft/core/view.hpp>

namespace graft::backends::cuda {

/// What a thread reads at once.
template <class A>
struct alignas(16) Pack {
  static constexpr Index count = 16 / sizeof(A);  ///< numbers
  A number[count];                                ///< that follow each other in a row
};

/// c = alpha a b' + beta c for a few rows of a: a task makes 8 columns of c, each by a warp that reads a row of b.
template <class A>
struct NarrowNt {
  static constexpr Index most_rows = 4;  ///< of a
  static constexpr Index width = 8;      ///< columns of a task
  float alpha;
  View<const A> a, b;
  float beta;
  View<float> c;

  [[nodiscard]] static constexpr Index tasks(Index cols) { return ceil_div(cols, width); }  ///< in all
  /// Whether all rows of x are packs.
  [[nodiscard]] static bool is_packed(View<const A> x) {
    return x.cols % Pack<A>::count == 0 && (x.rows == 1 || x.stride % Pack<A>::count == 0) &&
           reinterpret_cast<std::uintptr_t>(x.data) % alignof(Pack<A>) == 0;
  }
  /// One task.
  template <class Team>
  GRAFT_HD void operator()(const Team& team, Index task) const {
    const Index begin = task * width;
    const Index count = c.cols - begin < width ? c.cols - begin : width;
    team.warps(count, [&](Index n, const auto& warp) {
      float sums[most_rows] = {};
      warp.each(b.cols / Pack<A>::count, [&](Index at) {
        const Pack<A> right = pack(b, begin + n, at);
        for (Index i = 0; i < most_rows; ++i) {  // all of them, that the sums may stay in registers
          if (i < a.rows) {
            const Pack<A> left = pack(a, i, at);
            for (Index k = 0; k < Pack<A>::count; ++k) {
              sums[i] += static_cast<float>(left.number[k]) * static_cast<float>(right.number[k]);
            }
          }
        }
      });
      for (Index i = 0; i < most_rows; ++i) {
        if (i < a.rows) {
          const float dot = warp.total(sums[i]);
          if (warp.leads()) {
            float& to = c(i, begin + n);
            to = alpha * dot + (beta == 0 ? 0 : beta * to);
          }
        }
      }
    });
  }

 private:
  [[nodiscard]] static GRAFT_HD Pack<A> pack(View<const A> x, Index i, Index at) {
    return reinterpret_cast<const Pack<A>*>(x.data + i * x.stride)[at];
  }
};

/// Sends c = alpha a b' + beta c as NarrowNt, if it is such a product. False: nothing was sent.
template <class Queue, class A, class T>
[[nodiscard]] bool multiply_narrow(Queue& queue, Product which, float alpha, View<A> a, View<T> b, float beta,
                                   View<float> c) {
  using Kernel = NarrowNt<std::remove_const_t<A>>;
  if (which != Product::nt || a.rows > Kernel::most_rows || !Kernel::is_packed(a) || !Kernel::is_packed(b)) {
    return false;
  }
  queue.launch(Kernel{alpha, a, b, beta, c}, Kernel::tasks(c.cols), 32 * Kernel::width);
  return true;
}

}  // namespace graft::backends::cuda
