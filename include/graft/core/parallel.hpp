// SPDX-License-Identifier: Apache-2.0
// parallel_for: tasks on the threads of the one OpenMP pool; serial where OpenMP is off.
#pragma once

#include <exception>  // exception_ptr

#if defined(_OPENMP)
#include <omp.h>
#endif

#include <graft/base/index.hpp>
#include <graft/core/team.hpp>

namespace graft {

/// Number of lanes that parallel_for may use at once; scratch memory is laid out for so many.
[[nodiscard]] inline Index lane_count() {
#if defined(_OPENMP)
  return omp_get_max_threads();
#else
  return 1;
#endif
}

/// Whether other threads of the pool are at work beside this one.
[[nodiscard]] inline bool in_parallel() {
#if defined(_OPENMP)
  return omp_in_parallel() != 0 && detail::led_team() == nullptr;
#else
  return false;
#endif
}

/// Calls body(task, lane) once for every task in [0, count). Tasks are independent: no result may depend on which lane
/// ran a task, or when. The first exception is thrown again here. Calls do not nest.
template <class Body>
void parallel_for(Index count, const Body& body) {
#if defined(_OPENMP)
  if (count <= 1) {  // no region: one of a single thread would make libgomp start new threads for every region inside it
    if (count == 1) {
      body(Index{0}, Index{omp_get_thread_num()});
    }
    return;
  }
  if (detail::Team* const team = detail::led_team(); team != nullptr) {
    team->run(count, omp_get_thread_num(), body);
    return;
  }
  std::exception_ptr failure;
#pragma omp parallel for schedule(dynamic, 1)
  for (Index task = 0; task < count; ++task) {
    try {
      body(task, Index{omp_get_thread_num()});
    } catch (...) {
#pragma omp critical(graft_parallel_for)
      failure = failure ? failure : std::current_exception();
    }
  }
  if (failure) {
    std::rethrow_exception(failure);
  }
#else
  for (Index task = 0; task < count; ++task) {
    body(task, Index{0});
  }
#endif
}

/// Calls body() on this thread while the pool's other threads stand by for its parallel_for()s: for many short ones in a row,
/// as a decode step has them. Inside a parallel_for, or with one lane, body() runs alone.
template <class Body>
void with_team(const Body& body) {
#if defined(_OPENMP)
  if (lane_count() > 1 && omp_in_parallel() == 0) {
    detail::Team team;
    std::exception_ptr failure;
#pragma omp parallel
    {
      if (omp_get_thread_num() == 0) {
        detail::led_team() = &team;
        try {
          body();
        } catch (...) {
          failure = std::current_exception();
        }
        detail::led_team() = nullptr;
        team.dismiss();
      } else {
        team.stand_by(omp_get_thread_num());
      }
    }
    if (failure) {
      std::rethrow_exception(failure);
    }
    return;
  }
#endif
  body();
}

}  // namespace graft
