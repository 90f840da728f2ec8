// SPDX-License-Identifier: Apache-2.0
#include <graft/core/parallel.hpp>

#include <atomic>
#include <chrono>
#include <mutex>
#include <set>
#include <stdexcept>
#include <thread>
#include <vector>

#include "support/catch.hpp"

using namespace graft;

TEST_CASE("parallel_for runs every task once, on a lane that exists") {
  const Index count = GENERATE(0, 1, 2, 1000);
  std::vector<std::atomic<int>> runs(static_cast<std::size_t>(count));
  std::atomic<int> strangers = 0;
  parallel_for(count, [&](Index task, Index lane) {
    ++runs[static_cast<std::size_t>(task)];
    strangers += lane < 0 || lane >= lane_count();
  });
  int wrong = 0;
  for (const auto& times : runs) {
    wrong += times != 1;
  }
  CHECK(wrong == 0);
  CHECK(strangers == 0);
}

TEST_CASE("a lane runs one task at a time") {
  std::vector<std::atomic<int>> busy(static_cast<std::size_t>(lane_count()));
  std::atomic<int> collisions = 0;
  parallel_for(2000, [&](Index, Index lane) {
    collisions += busy[static_cast<std::size_t>(lane)]++ != 0;
    --busy[static_cast<std::size_t>(lane)];
  });
  CHECK(collisions == 0);
}

TEST_CASE("parallel_for throws again what a task threw, and works afterwards") {
  const auto failing = [](Index task, Index) {
    if (task == 7) {
      throw std::runtime_error("task 7");
    }
  };
  CHECK_THROWS_WITH(parallel_for(100, failing), "task 7");
  CHECK_THROWS_WITH(parallel_for(1, [](Index, Index) { throw std::runtime_error("alone"); }), "alone");
  std::atomic<int> runs = 0;
  parallel_for(5, [&](Index, Index) { ++runs; });
  CHECK(runs == 5);
}

TEST_CASE("loops inside a loop of one task run on the threads that the pool has, not on new ones") {
  std::mutex mutex;
  std::set<std::thread::id> threads;
  for (int i = 0; i < 100; ++i) {
    parallel_for(1, [&](Index, Index) {
      parallel_for(2 * lane_count(), [&](Index, Index) {
        const std::lock_guard<std::mutex> lock(mutex);
        threads.insert(std::this_thread::get_id());
      });
    });
  }
  CHECK(std::ssize(threads) <= lane_count());
}

TEST_CASE("there is at least one lane") {
  CHECK(lane_count() >= 1);
}

TEST_CASE("with_team: many short loops in a row run every task once, on a lane that exists") {
  std::vector<std::atomic<int>> runs(64);
  std::atomic<int> strangers = 0;
  with_team([&] {
    for (int job = 0; job < 2000; ++job) {
      parallel_for(job % 65, [&](Index task, Index lane) {
        ++runs[static_cast<std::size_t>(task)];
        strangers += lane < 0 || lane >= lane_count();
      });
    }
  });
  int wrong = 0;
  for (std::size_t task = 0; task < runs.size(); ++task) {
    int expected = 0;
    for (int job = 0; job < 2000; ++job) {
      expected += job % 65 > static_cast<int>(task);
    }
    wrong += runs[task] != expected;
  }
  CHECK(wrong == 0);
  CHECK(strangers == 0);
}

TEST_CASE("with_team: only a task is in parallel, and what a task or the body throws comes out") {
  const bool several = lane_count() > 1;
  std::atomic<int> alone = 0;
  with_team([&] {
    CHECK_FALSE(in_parallel());
    parallel_for(10, [&](Index, Index) { alone += !in_parallel(); });
    CHECK_THROWS_WITH(parallel_for(10, [](Index, Index) { throw std::runtime_error("task"); }), "task");
    CHECK_FALSE(in_parallel());
    with_team([&] { parallel_for(10, [&](Index, Index) { alone += !in_parallel(); }); });
  });
  CHECK(alone == (several ? 0 : 20));
  CHECK_THROWS_WITH(with_team([] { throw std::runtime_error("body"); }), "body");
  CHECK_FALSE(in_parallel());
}

TEST_CASE("with_team: a sleeping team wakes for a late loop") {
  std::atomic<int> runs = 0;
  with_team([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));  // longer than the others look out
    parallel_for(100, [&](Index, Index) { ++runs; });
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  });
  CHECK(runs == 100);
}
