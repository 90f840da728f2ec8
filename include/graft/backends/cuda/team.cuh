// SPDX-License-Identifier: Apache-2.0
// DeviceTeam: the threads that carry one task of a kernel. A kernel is a function object, kernel(team, task), that names no
// thread: it says what is done for each number, what is summed, and where all must have come so far. So the processor runs the
// same kernel (tests/support/host_queue.hpp), and its index arithmetic is tested without a device.
//
//   team.each(n, f)              f(i) for i in [0, n), shared out; nobody waits
//   team.grid(n, m, f)           f(i, j) for i in [0, n) and j in [0, m), a warp a row
//   team.sum(n, f), max(n, f)    of f(i), known to all, in an order that n and the team's size decide
//   team.sync()                  all have come so far, and see what the others wrote
//   team.parts(n, f)             f(i, part) for i in [0, n), each by a few threads: part.each, part.sum, part.max,
//                                part.total(of what each has), part.leads()
//   team.warps(n, f)             the same, each by a warp
//   team.memory<T>(offset)       what the team shares
//   team.multiply(c, a, b, ...)  c += a b of tiles in that memory, by tensor cores where they are bf16
#pragma once

#include <mma.h>

#include <graft/backends/cuda/tile.cuh>
#include <graft/base/index.hpp>
#include <graft/core/bf16.hpp>

namespace graft::backends::cuda {

/// `Size` neighbours of a warp, a power of two.
template <int Size>
struct DevicePart {
  __device__ bool leads() const { return threadIdx.x % Size == 0; }  ///< one of them
  template <class F>
  __device__ void each(Index n, const F& f) const {
    for (Index i = threadIdx.x % Size; i < n; i += Size) {
      f(i);
    }
  }
  __device__ float total(float mine) const {
    return over_all(mine, [](float a, float b) { return a + b; });
  }
  template <class F>
  __device__ float sum(Index n, const F& f) const {
    float mine = 0;
    each(n, [&](Index i) { mine += f(i); });
    return total(mine);
  }
  template <class F>
  __device__ float max(Index n, const F& f) const {
    float largest = -INFINITY;
    each(n, [&](Index i) { largest = fmaxf(largest, f(i)); });
    return over_all(largest, [](float a, float b) { return fmaxf(a, b); });
  }

 private:
  template <class F>
  __device__ static float over_all(float mine, const F& both) {
    constexpr unsigned ones = Size == 32 ? 0xffffffffu : (1u << Size % 32) - 1;
    const unsigned members = ones << (threadIdx.x % 32 / Size * Size);
    for (int distance = 1; distance < Size; distance *= 2) {
      mine = both(mine, __shfl_xor_sync(members, mine, distance));
    }
    return mine;
  }
};

/// A block of threads, a multiple of 32 and at most 1024.
struct DeviceTeam {
  std::byte* shared;  ///< the block's dynamic shared memory

  template <class F>
  __device__ void each(Index n, const F& f) const {
    for (Index i = threadIdx.x; i < n; i += blockDim.x) {
      f(i);
    }
  }
  template <class F>
  __device__ void grid(Index n, Index m, const F& f) const {
    for (Index i = threadIdx.x / 32; i < n; i += blockDim.x / 32) {
      for (Index j = threadIdx.x % 32; j < m; j += 32) {
        f(i, j);
      }
    }
  }
  __device__ void sync() const { __syncthreads(); }
  template <class F>
  __device__ auto sum(Index n, const F& f) const {
    decltype(f(Index{0})) total = 0;
    each(n, [&](Index i) { total += f(i); });
    return over_all(total, [](auto a, auto b) { return a + b; });
  }
  template <class F>
  __device__ float max(Index n, const F& f) const {
    float largest = -INFINITY;
    each(n, [&](Index i) { largest = fmaxf(largest, f(i)); });
    return over_all(largest, [](float a, float b) { return fmaxf(a, b); });
  }
  template <class F>
  __device__ void parts(Index n, const F& f) const {
    divided<4>(n, f);
  }
  template <class F>
  __device__ void warps(Index n, const F& f) const {
    divided<32>(n, f);
  }
  template <class T>
  __device__ T* memory(Index offset) const {
    return reinterpret_cast<T*>(shared + offset);
  }

  /// c(m,n) += a(m,k) b(k,n): fp32 on the ordinary units.
  __device__ void multiply(Tile<float> c, Tile<const float> a, Tile<const float> b, Index m, Index n, Index k) const {
    grid(m, n, [&](Index i, Index j) { add_dot(c, a, b, i, j, k); });
  }
  /// bf16 on tensor cores, 16 x 16 of c a warp; all extents are multiples of 16.
  __device__ void multiply(Tile<float> c, Tile<const bf16> a, Tile<const bf16> b, Index m, Index n, Index k) const {
    using nvcuda::wmma::col_major;
    using nvcuda::wmma::row_major;
    const bool turned_a = a.col != 1;
    const bool turned_b = b.col != 1;
    if (turned_a && turned_b) {
      multiply_warps<col_major, col_major>(c, a, b, m, n, k);
    } else if (turned_a) {
      multiply_warps<col_major, row_major>(c, a, b, m, n, k);
    } else if (turned_b) {
      multiply_warps<row_major, col_major>(c, a, b, m, n, k);
    } else {
      multiply_warps<row_major, row_major>(c, a, b, m, n, k);
    }
  }

 private:
  /// The same total for all: across each warp, then across the warps.
  template <class T, class F>
  __device__ T over_all(T mine, const F& both) const {
    __shared__ T of_warp[32];
    __shared__ T result;
    for (int distance = 16; distance > 0; distance /= 2) {
      mine = both(mine, __shfl_xor_sync(0xffffffffu, mine, distance));
    }
    __syncthreads();  // nobody reads the last call's result any more
    if (threadIdx.x % 32 == 0) {
      of_warp[threadIdx.x / 32] = mine;
    }
    __syncthreads();
    if (threadIdx.x == 0) {
      T total = of_warp[0];
      for (unsigned warp = 1; warp < blockDim.x / 32; ++warp) {
        total = both(total, of_warp[warp]);
      }
      result = total;
    }
    __syncthreads();
    return result;
  }

  template <int Size, class F>
  __device__ void divided(Index n, const F& f) const {
    for (Index i = threadIdx.x / Size; i < n; i += blockDim.x / Size) {
      f(i, DevicePart<Size>{});
    }
  }

  template <class LayoutA, class LayoutB>
  __device__ void multiply_warps(Tile<float> c, Tile<const bf16> a, Tile<const bf16> b, Index m, Index n,
                                 Index k) const {
    namespace wmma = nvcuda::wmma;
    const auto* const a_numbers = reinterpret_cast<const __nv_bfloat16*>(a.data);
    const auto* const b_numbers = reinterpret_cast<const __nv_bfloat16*>(b.data);
    const auto a_stride = static_cast<unsigned>(a.col == 1 ? a.row : a.col);
    const auto b_stride = static_cast<unsigned>(b.col == 1 ? b.row : b.col);
    const Index across = n / 16;
    for (Index tile = threadIdx.x / 32; tile < m / 16 * across; tile += blockDim.x / 32) {
      const Index i = tile / across * 16;
      const Index j = tile % across * 16;
      wmma::fragment<wmma::accumulator, 16, 16, 16, float> sum;
      wmma::load_matrix_sync(sum, c.data + i * c.row + j, static_cast<unsigned>(c.row), wmma::mem_row_major);
      for (Index s = 0; s < k; s += 16) {
        wmma::fragment<wmma::matrix_a, 16, 16, 16, __nv_bfloat16, LayoutA> left;
        wmma::fragment<wmma::matrix_b, 16, 16, 16, __nv_bfloat16, LayoutB> right;
        wmma::load_matrix_sync(left, a_numbers + i * a.row + s * a.col, a_stride);
        wmma::load_matrix_sync(right, b_numbers + s * b.row + j * b.col, b_stride);
        wmma::mma_sync(sum, left, right, sum);
      }
      wmma::store_matrix_sync(c.data + i * c.row + j, sum, static_cast<unsigned>(c.row), wmma::mem_row_major);
    }
  }
};

}  // namespace graft::backends::cuda
