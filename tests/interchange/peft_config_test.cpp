// SPDX-License-Identifier: Apache-2.0
#include <graft/interchange/peft_config.hpp>

#include <graft/interchange/peft_lora.hpp>

#include "support/catch.hpp"
#include "support/golden_adapter.hpp"

using namespace graft;

namespace {

/// The description of adapters/lora-all (3 layers) with another configuration.
models::AdapterFile with_changes(const io::Json& changes) {
  const std::string folder = test::golden("adapters/lora-all");
  io::Json config = test::adapter_config(folder);
  config.update(changes);
  return interchange::open_peft_lora(folder, config, 3);
}
Error refused_config(const io::Json& changes) {
  return test::error_of([&] { (void)with_changes(changes); });
}

}  // namespace

TEST_CASE("an unknown key is passed over with a warning where it is empty, and refused where it is not") {
  const auto file = with_changes({{"use_novelty", false}, {"novelty_config", nullptr}});
  CHECK(file.warnings.size() == 2);
  const Error error = refused_config({{"use_novelty", true}});
  CHECK(error.id() == "adapter.671");
  CHECK(test::says(error, "use_novelty"));
}

TEST_CASE("target_modules name modules as PEFT reads them: endings, whole paths, a regex, all-linear") {
  const auto placement = [](const io::Json& changes) { return with_changes(changes).parts[0].placement; };
  const auto ending = placement({{"target_modules", {"q_proj", "mlp.up_proj"}}});
  CHECK(ending.layers.all);
  CHECK(ending.sites == (site::query | site::up));
  CHECK(placement({{"target_modules", "all-linear"}}).sites == site::linear);
  const auto regex = placement({{"target_modules", "^.*layers\\.(0|2)\\.self_attn\\.(q|v)_proj$"}});
  CHECK(regex.layers.chosen == std::vector<Index>{0, 2});
  CHECK(regex.sites == (site::query | site::value));
  CHECK(refused_config({{"target_modules", ".*layers\\.0\\.self_attn\\.q"}}).id() == "adapter.672");  // full match only
  const auto excluded = placement({{"target_modules", "all-linear"}, {"exclude_modules", {"down_proj"}}});
  CHECK(excluded.sites == (site::linear & ~site::down));
  const auto layers = placement({{"target_modules", {"q_proj"}}, {"layers_to_transform", 1}});
  CHECK(layers.layers.chosen == std::vector<Index>{1});
  const auto whole = placement({{"target_modules", {"model.layers.0.self_attn.q_proj", "v_proj"}},
                                {"layers_to_transform", {2}}});  // a whole path does not ask for its layer
  CHECK(whole.layers.chosen == std::vector<Index>{0, 2});
  CHECK(whole.modules ==
        std::vector<std::string>{"model.layers.0.self_attn.q_proj", "model.layers.2.self_attn.v_proj"});
}

TEST_CASE("a key that acts in training only is a warning, where it is set") {
  const io::Json json = {{"peft_type", "X"}, {"module_dropout", 0.5}, {"rank_dropout", 0.0}};
  const interchange::PeftConfig config(json, "here", &text::compile_builtin);
  const auto warnings = config.check_keys(
      {.understood = {}, .without_effect = {}, .training = {"module_dropout", "rank_dropout"}, .refused = {}});
  REQUIRE(warnings.size() == 1);
  CHECK(warnings[0].find("module_dropout") != std::string::npos);
}

TEST_CASE("names of whole modules and of feedforward_modules are cut at no dot, those of targets are") {
  const io::Json json = {
      {"modules_to_save", {"norm"}}, {"target_modules", {"proj"}}, {"feedforward_modules", ".*\\.down_proj"}};
  const interchange::PeftConfig config(json, "here", &text::compile_builtin);
  CHECK(config.ends("modules_to_save", "model.layers.0.input_layernorm"));
  CHECK_FALSE(config.targets(0, "model.layers.0.self_attn.q_proj"));
  CHECK(config.ends_or_matches("feedforward_modules", "model.layers.0.mlp.down_proj"));
  CHECK_FALSE(config.ends_or_matches("feedforward_modules", "model.layers.0.mlp.up_proj"));
}

TEST_CASE("what is trained whole is no target") {
  const io::Json json = {{"modules_to_save", {"q_proj"}}, {"target_modules", {"q_proj", "v_proj"}}};
  const interchange::PeftConfig config(json, "here", &text::compile_builtin);
  CHECK_FALSE(config.targets(0, "model.layers.0.self_attn.q_proj"));
  CHECK(config.targets(0, "model.layers.0.self_attn.v_proj"));
}
