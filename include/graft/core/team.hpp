// SPDX-License-Identifier: Apache-2.0
// Team: threads that stand by for the short jobs of one leader. A parallel region wakes its threads and waits for all of them,
// 50 us where they sleep; a decode step has 240 of them. Here the leader works at once and waits for nobody who has not begun.
#pragma once

#include <atomic>
#include <cstdint>
#include <exception>
#include <utility>  // exchange

#include <graft/base/index.hpp>

namespace graft::detail {

class Team;

/// The team that this thread leads, while it runs none of its tasks.
[[nodiscard]] inline Team*& led_team() {
  static thread_local Team* team = nullptr;
  return team;
}

/// One leader calls run() and dismiss(), every other thread is in stand_by() meanwhile.
class Team {
 public:
  /// Calls body(task, lane) once for every task in [0, count), the leader's on `lane`; throws the first exception again.
  template <class Body>
  void run(Index count, Index lane, const Body& body) {
    led_team() = nullptr;
    call_ = [](const void* b, Index task, Index at) { (*static_cast<const Body*>(b))(task, at); };
    body_ = &body;
    count_ = count;
    next_.store(0, std::memory_order_relaxed);
    open_ = true;
    announce();
    work(lane);
    open_ = false;
    for (int others = inside_; others != 0; others = inside_) {
      await_change(inside_, others);
    }
    led_team() = this;
    if (failed_.exchange(false)) {
      std::rethrow_exception(std::exchange(failure_, nullptr));
    }
  }
  /// Does a share of every job until the leader dismisses the team.
  void stand_by(Index lane) {
    while (!dismissed_) {
      const std::uint32_t seen = announced_;
      ++inside_;
      if (open_) {  // and stays so, with its fields, until this thread has left
        work(lane);
      }
      --inside_;
      inside_.notify_all();
      await_change(announced_, seen);
    }
  }
  /// Lets the others go.
  void dismiss() {
    dismissed_ = true;
    announce();
  }

 private:
  /// Before a thread sleeps: about 100 us, more than lies between two jobs of a decode step.
  static constexpr int looks = 2048;

  void announce() {
    ++announced_;
    announced_.notify_all();
  }
  template <class T>
  static void await_change(const std::atomic<T>& value, T seen) {
    for (int look = 0; look < looks; ++look) {
      if (value != seen) {
        return;
      }
#if defined(__x86_64__)
      __builtin_ia32_pause();
#endif
    }
    value.wait(seen);
  }
  void work(Index lane) {
    for (Index task = next_++; task < count_; task = next_++) {
      try {
        call_(body_, task, lane);
      } catch (...) {
        if (!failed_.exchange(true)) {
          failure_ = std::current_exception();
        }
      }
    }
  }

  // A job: written while it is not open and nobody is inside.
  void (*call_)(const void*, Index, Index) = nullptr;
  const void* body_ = nullptr;
  Index count_ = 0;
  std::atomic<Index> next_{0};

  std::atomic<bool> open_{false};            // tasks may be taken
  std::atomic<int> inside_{0};               // threads that may be reading the job
  std::atomic<std::uint32_t> announced_{0};  // jobs, and the end
  std::atomic<bool> dismissed_{false};
  std::atomic<bool> failed_{false};
  std::exception_ptr failure_;  // the first; read when nobody is inside
};

}  // namespace graft::detail
