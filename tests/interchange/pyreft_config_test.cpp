// SPDX-License-Identifier: Apache-2.0
#include <graft/interchange/pyreft_config.hpp>

#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/files.hpp"
#include "support/paths.hpp"

using namespace graft;

namespace {

/// A configuration with one LoReFT at layer 8, its fields changed.
io::Json one_loreft(const io::Json& changes = io::Json::object()) {
  io::Json fields = {8, "block_output", "pos", 1, 4};
  for (int empty = 0; empty < 9; ++empty) {
    fields.push_back(nullptr);
  }
  for (const auto& [place, value] : changes.items()) {
    fields[static_cast<std::size_t>(std::stol(place))] = value;
  }
  return {{"representations", {fields}},
          {"intervention_types", {"<class 'pyreft.interventions.LoreftIntervention'>"}},
          {"intervention_dimensions", {2048}}};
}

Error pyreft_config_error(const io::Json& config) {
  return test::error_of([&] { (void)interchange::read_pyreft_config(config, "config.json"); });
}

}  // namespace

TEST_CASE("an intervention is its class, place, rank, width and the three spellings of its file") {
  const auto units = interchange::read_pyreft_config(one_loreft(), "config.json");
  REQUIRE(units.size() == 1);
  CHECK((units[0].kind == "LoreftIntervention" && units[0].layer == 8 && units[0].where == site::residual));
  CHECK((units[0].rank == 4 && units[0].width == 2048 && units[0].turn == 0));
  CHECK(units[0].keys == std::vector<std::string>{"layer_8_comp_block_output_unit_pos_nunit_1#0",
                                                  "layer.8.comp.block_output.unit.pos.nunit.1#0",
                                                  "layer.8.repr.block_output.unit.pos.nunit.1#0"});
}

TEST_CASE("lists of 13 fields, objects, and fields that only the tensors know are read too") {
  io::Json config = one_loreft({{"4", nullptr}});
  config["representations"][0].erase(13);
  config.erase("intervention_dimensions");
  const auto units = interchange::read_pyreft_config(config, "config.json");
  CHECK((units[0].rank == 0 && units[0].width == 0));
  config["representations"][0] = {{"layer", 3}, {"component", "mlp_output"}, {"low_rank_dimension", 2}};
  CHECK(interchange::read_pyreft_config(config, "config.json")[0].where == site::feed_forward);
}

TEST_CASE("a dotted component brings its layer, and its file has names of its own") {
  const auto unit = [](const std::string& component) {
    return interchange::read_pyreft_config(one_loreft({{"0", 0}, {"1", component}}), "config.json").front();
  };
  const auto output = unit("model.layers[15].self_attn.o_proj.output");
  CHECK((output.layer == 15 && output.where == site::attention));
  CHECK(output.keys.front() == "comp_model_layers[15]_self_attn_o_proj_output_unit_pos_nunit_1#0");
  CHECK((unit("model.layers[2].output").where == site::residual && unit("model.layers[2].output").layer == 2));
  CHECK(unit("model.layers[2].mlp.down_proj.output").where == site::feed_forward);
  CHECK(unit("attention_output").where == site::attention);
}

TEST_CASE("interventions of one place are counted, in the order of the file") {
  const std::string path = test::golden("reft/loreft-untied/saved/config.json");
  const auto units = interchange::read_pyreft_config(io::parse_json(test::slurp(path), path), path);
  REQUIRE(units.size() == 4);
  CHECK((units[1].layer == 2 && units[1].turn == 0 && units[1].keys[0].ends_with("#0")));
  CHECK((units[3].layer == 2 && units[3].turn == 1 && units[3].keys[0].ends_with("#1")));
  CHECK(interchange::is_pyreft_folder(test::golden("reft/loreft-untied/saved")));
  CHECK_FALSE(interchange::is_pyreft_folder(test::golden("models/llama-gqa")));
  CHECK_FALSE(interchange::is_pyreft_folder(test::golden("adapters/lora")));
}

TEST_CASE("what graft does not compute is refused by name, with the nearest that it does") {
  CHECK(pyreft_config_error(one_loreft()).id() == "none");
  for (const auto& [place, value] : std::vector<std::pair<std::string, io::Json>>{
           {"2", "h.pos"}, {"3", 2}, {"7", {{0, 2}, {2, 4}}}, {"9", 1}, {"13", 64}}) {
    CHECK(pyreft_config_error(one_loreft({{place, value}})).id() == "adapter.760");
  }
  CHECK(test::says(pyreft_config_error(one_loreft({{"7", {{0, 2}}}})), "subspace_partition"));
  io::Json config = one_loreft();
  config["representations"][0].push_back(nullptr);
  CHECK(pyreft_config_error(config).id() == "adapter.760");
  config = one_loreft();
  config["intervention_types"].push_back("x");
  CHECK(pyreft_config_error(config).id() == "adapter.760");
  const Error component = pyreft_config_error(one_loreft({{"1", "blok_output"}}));
  CHECK(component.id() == "adapter.761");
  CHECK(test::says(component, "\"block_output\""));
  for (const char* other : {"model.layers[x].output", "model.layers[3", "model.layers[99999].output", "query_output"}) {
    CHECK(pyreft_config_error(one_loreft({{"1", other}})).id() == "adapter.761");
  }
  config = one_loreft();
  config["intervention_types"][0] = "<class 'pyreft.interventions.LoreftIntervntion'>";
  const Error type = pyreft_config_error(config);
  CHECK(type.id() == "adapter.762");
  CHECK(test::says(type, "\"LoreftIntervention\""));
}
