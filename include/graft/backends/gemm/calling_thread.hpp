// SPDX-License-Identifier: Apache-2.0
// CallingThreadOnly: while one lives, libraries on the OpenMP pool compute on the thread that called them.
#pragma once

#include <graft/core/parallel.hpp>  // omp.h

namespace graft::backends {

/// A product split by the library depends on the number of threads, so every gemm door holds one of these: work is split
/// by Simd, over a partition that depends on shapes only. Inside a parallel region, too: oneDNN counts the threads there when
/// it plans a product, and would split the sum over K among threads that never come.
class CallingThreadOnly {
 public:
  CallingThreadOnly() {
#if defined(_OPENMP)
    threads_ = omp_get_max_threads();
    omp_set_num_threads(1);
#endif
  }
  ~CallingThreadOnly() {
#if defined(_OPENMP)
    omp_set_num_threads(threads_);
#endif
  }
  CallingThreadOnly(const CallingThreadOnly&) = delete;
  CallingThreadOnly& operator=(const CallingThreadOnly&) = delete;

 private:
  [[maybe_unused]] int threads_ = 1;  // what to restore
};

}  // namespace graft::backends
