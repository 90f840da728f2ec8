// SPDX-License-Identifier: Apache-2.0
#include <graft/core/parallel.hpp>

#include <atomic>
#include <stdexcept>
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

TEST_CASE("there is at least one lane") {
  CHECK(lane_count() >= 1);
}
