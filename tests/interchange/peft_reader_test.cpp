// SPDX-License-Identifier: Apache-2.0
#include <graft/interchange/peft_reader.hpp>

#include <graft/adapters/lora.hpp>

#include "support/catch.hpp"
#include "support/golden_adapter.hpp"

using namespace graft;

namespace {

const interchange::PeftKeys lora_like = {
    .understood = {"r", "target_modules", "layers_to_transform", "layers_pattern", "modules_to_save"},
    .without_effect = {},
    .training = {},
    .refused = {}};

}  // namespace

TEST_CASE("replaced and renamed tensors live as long as the file that holds them") {
  const std::string folder = test::golden("adapters/lora");
  const io::Json config = {{"peft_type", "LORA"}, {"target_modules", {"q_proj"}}};
  models::AdapterFile file;
  {
    interchange::PeftReader reader(folder, config, 0, &text::compile_builtin, lora_like);
    CHECK(reader.layers() == 3);
    const std::string name = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight";
    Tensor<double> made(1, 2);
    made(0, 1) = 7;
    reader.replace(name, "made", std::move(made));
    CHECK(reader.file.tensors.find(name) == nullptr);
    reader.cut_names("q_proj.lora_B", ".weight");
    reader.add_targets([](const std::string&, Sites) { return adapters::Lora<>{.rank = 4}; });
    file = std::move(reader).finish();
  }
  CHECK((*io::in_place<double>(*file.tensors.find("made")))(0, 1) == 7);
  CHECK(file.tensors.find("base_model.model.model.layers.2.self_attn.q_proj.lora_B") != nullptr);
  CHECK(file.parts[0].settings["rank"] == 4);
  CHECK(file.parts[0].placement.sites == site::query);
}

TEST_CASE("a whole weight that only some layers have is described for all, so that loading names what is missing") {
  test::AdapterDraft draft(test::golden("adapters/lora"));
  const Tensor<float> gain(1, 48);
  draft.config["modules_to_save"] = {"input_layernorm"};
  draft.tensors.push_back(io::tensor_ref("base_model.model.model.layers.1.input_layernorm.weight", gain.view(), {48}));
  const test::TempFolder folder;
  draft.write(folder.path("a"));
  const auto file = interchange::open_adapter(folder.path("a"), 3);
  REQUIRE(file.parts.size() == 2);
  CHECK(file.parts[1].adapter == "full");
  CHECK(file.parts[1].placement.sites == site::attention_norm);
  CHECK(file.parts[1].placement.layers.all);
}
