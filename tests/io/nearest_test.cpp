// SPDX-License-Identifier: Apache-2.0
#include <graft/io/nearest.hpp>

#include <string>
#include <vector>

#include "support/catch.hpp"

using namespace graft;

TEST_CASE("edit distances are those of the textbooks") {
  CHECK(io::edit_distance("kitten", "sitting") == 3);
  CHECK(io::edit_distance("saturday", "sunday") == 3);
  CHECK(io::edit_distance("", "abc") == 3);
  CHECK(io::edit_distance("abc", "") == 3);
  CHECK(io::edit_distance("same", "same") == 0);
}

TEST_CASE("the nearest name is the one with the fewest edits, and none among none") {
  const auto same = [](const std::string& name) { return name; };
  CHECK(io::nearest_name("q_porj", std::vector<std::string>{"k_proj", "q_proj", "down_proj"}, same) == "q_proj");
  CHECK(io::nearest_name("x", std::vector<std::string>{}, same).empty());
}
