// SPDX-License-Identifier: Apache-2.0
#include <graft/core/team.hpp>

#include <thread>
#include <vector>

#include "support/catch.hpp"

using graft::Index;
using graft::detail::Team;

TEST_CASE("a team of plain threads shares every job of its leader") {
  Team team;
  std::vector<std::thread> others;
  for (Index lane = 1; lane < 4; ++lane) {
    others.emplace_back([&team, lane] { team.stand_by(lane); });
  }
  int wrong = 0;
  for (int job = 0; job < 500; ++job) {
    std::vector<Index> lanes(32, -1);  // each entry is written by the one task that owns it
    team.run(32, 0, [&](Index task, Index lane) { lanes[static_cast<std::size_t>(task)] = lane; });
    for (const Index lane : lanes) {
      wrong += lane < 0 || lane > 3;
    }
  }
  team.dismiss();
  for (std::thread& thread : others) {
    thread.join();
  }
  CHECK(wrong == 0);
}

TEST_CASE("a leader whose team never comes does all of it") {
  Team team;
  Index sum = 0;
  team.run(10, 0, [&](Index task, Index) { sum += task; });
  CHECK(sum == 45);
}
