// SPDX-License-Identifier: Apache-2.0
#include <graft/adapters/placement.hpp>

#include <graft/io/json.hpp>

#include "support/catch.hpp"
#include "support/files.hpp"
#include "support/paths.hpp"

using namespace graft;

namespace {
Ragged one_prompt(Index length, Index prompt, Index start = 0) {
  Ragged batch;
  batch.push(length, prompt, start);
  return batch;
}
Positions parsed(const std::string& text) {  // "f2+l3", "f2", "l3"
  Positions positions{false, 0, 0};
  for (std::size_t at = 0; at < text.size();
       at = text.find('+', at) == std::string::npos ? text.size() : text.find('+', at) + 1) {
    (text[at] == 'f' ? positions.first : positions.last) = std::stoi(text.substr(at + 1));
  }
  return positions;
}
}  // namespace

TEST_CASE("edited rows are pyreft's intervention locations without the pad slots") {
  const std::string path = test::golden("reft/positions.json");
  const io::Json rows = io::parse_json(test::slurp(path), path);
  REQUIRE(rows.size() == 1600);
  for (const io::Json& row : rows) {
    const auto prompt = io::json_get<Index>(row, "last_position", path);
    const auto positions = parsed(io::json_get<std::string>(row, "positions", path));
    const bool tied = io::json_get<bool>(row, "share_weights", path);
    const bool pads_first = io::json_get<std::string>(row, "pad_mode", path) == "first";
    const auto locations = io::json_get<std::vector<std::vector<Index>>>(row, "locations", path);
    const Placement placement{.positions = positions, .tied = tied};
    CAPTURE(row.dump());
    if (prompt == 0) {  // pyreft edits the pad token only; here the user is told
      CHECK(test::error_of([&] { (void)edit_rows(one_prompt(50, 0), positions, Part::both, 1, 7); }).id() ==
            "adapter.630");
      continue;
    }
    for (std::size_t i = 0; i < locations.size(); ++i) {
      std::vector<Index> expected;
      for (const Index at : locations[i]) {
        if (at != (pads_first ? -1 : prompt)) {
          expected.push_back(at);
        }
      }
      const Part half = i < locations.size() / 2 ? Part::prefix : Part::suffix;
      const EditRows found = edit_rows(one_prompt(50, prompt), positions, placement.splits() ? half : Part::both, 1, 7);
      CHECK(found.in_batch == expected);
      for (std::size_t k = 0; k < expected.size(); ++k) {
        CHECK(found.in_block[k] == expected[k] % 7);
      }
    }
  }
}

TEST_CASE("edited rows stand in the sequences of one adapter, at their offsets in the batch") {
  Ragged batch;
  batch.push(4, 2, 0, 1);
  batch.push(5, 4, 0, 2);
  batch.push(3, 2, 0, 1);
  CHECK(edit_rows(batch, ends(1, 1), Part::both, 1, 100).in_batch == std::vector<Index>{0, 1, 9, 10});
  CHECK(edit_rows(batch, ends(1, 1), Part::prefix, 2, 100).in_batch == std::vector<Index>{4});
  CHECK(edit_rows(batch, ends(1, 1), Part::suffix, 2, 100).in_batch == std::vector<Index>{7});
  CHECK(edit_rows(batch, every_position, Part::both, 2, 100).in_batch == std::vector<Index>{4, 5, 6, 7, 8});
  CHECK(edit_rows(batch, ends(1, 1), Part::both, 3, 100).in_batch.empty());
}

TEST_CASE("edited rows know the subspace that their sequence carries") {
  Ragged batch = one_prompt(5, 2);
  CHECK(edit_rows(batch, ends(1, 1), Part::both, 1, 100).subspaces.empty());
  batch.push(4, 2);
  batch.carry(0b10);
  const EditRows found = edit_rows(batch, ends(1, 1), Part::both, 1, 100);
  CHECK(found.subspaces == std::vector<std::uint64_t>{whole_subspace, whole_subspace, 0b10, 0b10});
  batch.subspace.pop_back();
  CHECK(test::error_of([&] { (void)edit_rows(batch, ends(1, 1), Part::both, 1, 100); }).id() == "shape.110");
}

TEST_CASE("placeholder rows are the own run of every sequence of the adapter that begins in this batch") {
  Ragged batch;
  batch.push(6, 2, 0, 1, 3);
  batch.push(2, 2, 0, 2);
  batch.push(4, 1, 0, 1, 3);
  batch.push(1, 1, 4, 1, 3);
  const EditRows found = placeholder_rows(batch, {1, 2}, 1, 5);
  CHECK(found.in_batch == std::vector<Index>{1, 2, 9, 10});
  CHECK(found.in_block == std::vector<Index>{1, 2, 4, 0});
  check_placeholders(batch, 1, 3);
  CHECK(test::error_of([&] { check_placeholders(batch, 1, 2); }).id() == "adapter.745");
  CHECK(test::error_of([&] { check_placeholders(batch, 2, 3); }).id() == "adapter.745");
}

TEST_CASE("a step after the prompt holds no prompt positions, but every position is edited") {
  CHECK(edit_rows(one_prompt(1, 6, 6), ends(2, 2), Part::both, 1, 5).in_batch.empty());
  CHECK(edit_rows(one_prompt(1, 6, 6), every_position, Part::both, 1, 5).in_batch == std::vector<Index>{0});
  CHECK(edit_rows(one_prompt(2, 6, 4), ends(2, 2), Part::both, 1, 5).in_batch == std::vector<Index>{0, 1});  // 4 and 5
}

TEST_CASE("layers are all or those listed, and only a two-sided untied placement splits") {
  CHECK(every_layer.contains(12));
  CHECK(only_layers({2, 5}).contains(5));
  CHECK_FALSE(only_layers({2, 5}).contains(3));
  CHECK(Placement{.positions = ends(1, 1), .tied = false}.splits());
  CHECK_FALSE(Placement{.positions = ends(1, 1), .tied = true}.splits());
  CHECK_FALSE(Placement{.positions = ends(3, 0), .tied = false}.splits());
  CHECK_FALSE(Placement{.positions = every_position, .tied = false}.splits());
}

TEST_CASE(
    "a pattern names modules of every layer and kind, and a placement takes those that one of its patterns names") {
  CHECK(matches("model.layers.1.mlp.up_proj", "model.layers.1.mlp.up_proj"));
  CHECK(matches("*", ""));
  CHECK(matches("*.mlp.*", "model.layers.12.mlp.up_proj"));
  CHECK(matches("*_proj", "model.layers.1.mlp.up_proj"));
  CHECK_FALSE(matches("", "model.norm"));
  CHECK_FALSE(matches("model.layers.1.*", "model.layers.12.mlp.up_proj"));
  CHECK_FALSE(matches("*.mlp", "model.layers.1.mlp.up_proj"));
  const Placement some{.modules = {"*.1.self_attn.?_proj", "*.1.self_attn.q_proj", "*.mlp.*"}};
  CHECK(some.names(1, site::query));
  CHECK(some.names(0, site::up));
  CHECK_FALSE(some.names(1, site::key));  // there is no sign but *
  CHECK_FALSE(some.names(2, site::query));
}
