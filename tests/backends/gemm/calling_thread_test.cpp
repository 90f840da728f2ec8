// SPDX-License-Identifier: Apache-2.0
#include <graft/backends/gemm/calling_thread.hpp>

#include "support/catch.hpp"

using namespace graft;

TEST_CASE("while a CallingThreadOnly lives there is one lane, and afterwards as many as before") {
  const Index before = lane_count();
  {
    const backends::CallingThreadOnly scope;
    CHECK(lane_count() == 1);
    {
      const backends::CallingThreadOnly inner;
      CHECK(lane_count() == 1);
    }
    CHECK(lane_count() == 1);
  }
  CHECK(lane_count() == before);
  CHECK_FALSE(in_parallel());
}

#if defined(_OPENMP)
TEST_CASE("in a task among several threads a CallingThreadOnly leaves one, too") {
  const int before = omp_get_max_threads();
  omp_set_num_threads(2);
  int right = 0;
  parallel_for(8, [&](Index, Index) {
    const Index outside = lane_count();
    bool alone = false;
    {
      const backends::CallingThreadOnly scope;
      alone = lane_count() == 1;
    }
    if (alone && lane_count() == outside) {
#pragma omp atomic
      ++right;
    }
  });
  CHECK(right == 8);
  omp_set_num_threads(before);
}

TEST_CASE("a task among several threads is in parallel, a task of a single thread is not") {
  const int before = omp_get_max_threads();
  omp_set_num_threads(2);
  int inside = 0;
  parallel_for(8, [&](Index, Index) {
    if (in_parallel()) {
#pragma omp atomic
      ++inside;
    }
  });
  CHECK(inside == 8);
  omp_set_num_threads(before);
}
#endif
