// SPDX-License-Identifier: Apache-2.0
#include <graft/core/arena.hpp>

#include <cstdint>

#include "support/catch.hpp"
#include "support/tensors.hpp"

using namespace graft;

namespace {
struct Taken {
  View<float> kept;
  View<double> first_scratch;
  View<bf16> second_scratch;
};
/// One pass of a program: something kept, then twice scratch in the same place.
Taken pass(Arena& arena) {
  Taken taken;
  taken.kept = arena.take<float>("kept", 5, 7);
  const std::size_t mark = arena.mark();
  taken.first_scratch = arena.take<double>("scratch", 10, 3);
  arena.rewind(mark);
  taken.second_scratch = arena.take<bf16>("scratch", 4, 4);
  arena.rewind(mark);
  return taken;
}
std::uintptr_t address(const void* pointer) {
  return reinterpret_cast<std::uintptr_t>(pointer);
}
}  // namespace

TEST_CASE("while measuring, views have shapes and no memory") {
  Arena arena;
  const Taken dry = pass(arena);
  CHECK((dry.kept.data == nullptr && dry.kept.rows == 5 && dry.kept.cols == 7));
  CHECK((dry.second_scratch.data == nullptr && dry.second_scratch.size() == 16));
}

TEST_CASE("the real pass needs exactly what the dry pass measured") {
  Arena arena;
  pass(arena);
  const std::size_t measured = arena.peak();
  const std::vector<ArenaEntry> planned = arena.entries();
  CHECK(measured == 192 + 256);  // 5 * 7 floats and 10 * 3 doubles, each up to a multiple of 64
  arena.reserve();
  CHECK(arena.peak() == 0);
  pass(arena);
  CHECK(arena.peak() == measured);
  REQUIRE(arena.entries().size() == planned.size());
  for (std::size_t i = 0; i < planned.size(); ++i) {
    CHECK(arena.entries()[i].name == planned[i].name);
    CHECK(arena.entries()[i].bytes == planned[i].bytes);
  }
}

TEST_CASE("entries say what the peak is made of, and add up to it") {
  Arena arena;
  pass(arena);
  REQUIRE(arena.entries().size() == 2);
  CHECK((arena.entries()[0].name == "kept" && arena.entries()[0].bytes == 192));
  CHECK((arena.entries()[1].name == "scratch" && arena.entries()[1].bytes == 256));
  CHECK(arena.entries()[0].bytes + arena.entries()[1].bytes == arena.peak());
}

TEST_CASE("real views are disjoint and aligned; what is rewound is shared") {
  Arena arena;
  pass(arena);
  arena.reserve();
  const Taken real = pass(arena);
  CHECK(address(real.kept.row(5)) <= address(real.first_scratch.data));
  CHECK(address(real.first_scratch.data) == address(real.second_scratch.data));
  CHECK(address(real.kept.data) % alignment == 0);
  CHECK(address(real.first_scratch.data) % alignment == 0);
  test::fill_normal(real.kept, 1);
  const float last = real.kept(4, 6);
  test::fill_normal(real.first_scratch, 2);
  CHECK(real.kept(4, 6) == last);
}

TEST_CASE("taking more than was measured fails, whatever was rewound before") {
  Arena arena;
  pass(arena);
  arena.reserve();
  pass(arena);
  CHECK_THROWS_WITH(arena.take<double>("more", 10, 4), "shape.112: Arena: more was taken than the dry pass measured");
  Arena untouched;
  untouched.reserve();
  CHECK_THROWS_WITH(untouched.take<float>("any", 1, 1), test::contains("shape.112"));
}

TEST_CASE("the memory grows with the plan and stays when the next plan is smaller") {
  Arena arena;
  [[maybe_unused]] const auto plan = arena.take<float>("x", 4, 4);
  arena.reserve();
  arena.measure();
  CHECK(arena.peak() == 0);
  CHECK(arena.entries().empty());
  [[maybe_unused]] const auto larger_plan = arena.take<float>("x", 400, 400);
  arena.reserve();
  const float* place = arena.take<float>("x", 400, 400).data;
  arena.measure();
  [[maybe_unused]] const auto smaller_plan = arena.take<float>("x", 2, 2);
  arena.reserve();
  CHECK(arena.take<float>("x", 2, 2).data == place);
}

TEST_CASE("a slab is a row for every token, or some for every lane") {
  Arena arena;
  const auto wide = arena.slab<float>("w", true, 100, 8, 3);
  const auto lanes = arena.slab<float>("l", false, 100, 8, 3);
  CHECK((wide.data.rows == 100 && wide.lane_rows == 0));
  CHECK((lanes.data.rows == 8 * lane_count() && lanes.lane_rows == 8));
}
