// SPDX-License-Identifier: Apache-2.0
#include <graft/interchange/peft_lora.hpp>

#include "support/catch.hpp"
#include "support/golden_adapter.hpp"

using namespace graft;

namespace {

using Loras = Stack<At<site::linear, adapters::Lora<>>>;

const std::string lora = test::golden("adapters/lora");

/// The description of a LoRA whose configuration was changed; its tensors are those of adapters/lora-all (3 layers).
models::AdapterFile described(const io::Json& changes, const std::string& of = "lora-all") {
  const std::string folder = test::golden("adapters/" + of);
  io::Json config = io::parse_json(test::slurp(folder + "/adapter_config.json"), folder);
  config.update(changes);
  return interchange::open_peft_lora(folder, config, 3);
}

Error refused(const io::Json& changes) {
  return test::error_of([&] { (void)described(changes); });
}

/// What loading says after one tensor or key was changed.
template <class Change>
Error broken_lora(const std::string& of, const Change& change) {
  test::GoldenBase base("llama-gqa");
  test::AdapterDraft draft(test::golden("adapters/" + of));
  change(draft);
  const test::TempFolder folder;
  draft.write(folder.path("broken"));
  return test::error_of([&] { (void)base.load<Loras>(folder.path("broken")); });
}

const std::string peft_q0 = "base_model.model.model.layers.0.self_attn.q_proj.";
const std::string q1 = "base_model.model.model.layers.1.self_attn.q_proj.";

}  // namespace

TEST_CASE("every golden PEFT LoRA gives PEFT's logits, loss, gradients and scales in double") {
  const std::pair<const char*, const char*> cases[] = {
      {"lora", "llama-gqa"},        {"lora-qwen2", "qwen2-bias"}, {"lora-mistral", "mistral-window"},
      {"lora-all", "llama-gqa"},    {"lora-rs", "llama-gqa"},     {"lora-rank-pattern", "llama-gqa"},
      {"lora-layers", "llama-gqa"},
  };
  for (const auto& [name, model] : cases) {
    INFO(name);
    test::GoldenBase base(model);
    const std::string folder = test::golden(std::string("adapters/") + name);
    const auto file = interchange::open_adapter(folder, base.model.layer_count());
    CHECK(file.warnings.empty());
    auto attached = base.load<Loras>(folder);
    const io::Json facts = io::parse_json(test::slurp(folder + "/io.json"), folder);
    CHECK(parameter_count(attached) == facts["trainable"].get<Index>());
    std::size_t modules = 0;
    for (auto& grafted : std::get<0>(attached.parts).modules) {
      CHECK(grafted.module.scale() == Approx(facts["scale"].at(grafted.place.name).get<double>()).epsilon(1e-14));
      ++modules;
    }
    CHECK(modules == facts["scale"].size());
    const auto errors =
        test::golden_errors(base.model, attached, io::Safetensors::open(folder + "/io.safetensors"),
                            [&](const auto& grafted, const char* key) { return file.key(grafted, key); });
    CHECK(errors.logits < 1e-11);
    CHECK(errors.loss < 1e-12);
    CHECK(errors.gradients < 1e-10);
  }
}

TEST_CASE("a key of PEFT that changes the result and is not computed is refused by its name") {
  const io::Json changes[] = {{{"bias", "all"}},
                              {{"lora_bias", true}, {"use_dora", true}},
                              {{"fan_in_fan_out", true}},
                              {{"modules_to_save", {"self_attn"}}},
                              {{"layer_replication", {{0, 1}}}},
                              {{"init_lora_weights", "pissa"}},
                              {{"task_type", "SEQ_CLS"}},
                              {{"layers_pattern", "h"}, {"layers_to_transform", {0}}},
                              {{"r", 0}},
                              {{"lora_dropout", 1.0}},
                              {{"rank_pattern", 3}},
                              {{"trainable_token_indices", {1}}}};
  for (const io::Json& change : changes) {
    INFO(change.dump());
    const Error error = refused(change);
    CHECK(error.id() == "adapter.670");
    CHECK(test::says(error, change.begin().key()));
  }
  CHECK(refused({{"r", "eight"}}).id() == "io.212");
}

TEST_CASE("targets that graft has no LoRA for are errors, idle ones are warnings") {
  CHECK(test::says(refused({{"target_modules", {"q_proj", "lm_head"}}}), "lm_head"));
  CHECK(refused({{"target_modules", {"embed_tokens"}}}).id() == "adapter.672");
  CHECK(refused({{"target_modules", {"c_attn"}}}).id() == "adapter.672");
  const auto file = described({{"target_modules", {"q_proj", "c_attn"}}});
  REQUIRE(file.warnings.size() == 1);
  CHECK(file.warnings[0].find("c_attn") != std::string::npos);
}

TEST_CASE("a damaged LoRA gives one error that names the tensor, what was expected and what was found") {
  const Error missing = broken_lora("lora", [](auto& d) { d.tensors.erase(d.tensors.begin()); });
  CHECK(missing.id() == "adapter.650");
  CHECK(test::says(missing, peft_q0 + "lora_A.weight"));
  const Error renamed =
      broken_lora("lora", [](auto& d) { d.at(peft_q0 + "lora_A.weight").name = peft_q0 + "lora_A.weigh"; });
  CHECK(renamed.id() == "adapter.650");
  CHECK(test::says(renamed, "nearest name in the file is \"" + peft_q0 + "lora_A.weigh\""));
  const Error extra = broken_lora("lora", [](auto& d) {
    d.tensors.push_back(d.tensors[0]);
    d.tensors.back().name = "base_model.model.model.layers.7.self_attn.q_proj.lora_A.weight";
  });
  CHECK(extra.id() == "adapter.652");
  CHECK(test::says(extra, "layers.7"));
  const Error transposed = broken_lora("lora", [](auto& d) {  // of a square map: A' has the shape that B should have
    std::swap(d.at(peft_q0 + "lora_A.weight").shape[0], d.at(peft_q0 + "lora_A.weight").shape[1]);
    std::swap(d.at(peft_q0 + "lora_B.weight").shape[0], d.at(peft_q0 + "lora_B.weight").shape[1]);
  });
  CHECK(transposed.id() == "adapter.651");
  CHECK(test::says(transposed, "[48, 4], expected [4, 48]: it is transposed"));
  const Error swapped =
      broken_lora("lora", [](auto& d) { std::swap(d.at(q1 + "lora_A.weight").name, d.at(q1 + "lora_B.weight").name); });
  CHECK(swapped.id() == "adapter.651");
  const Error rank = broken_lora("lora", [](auto& d) { d.config["r"] = 3; });
  CHECK(rank.id() == "adapter.651");
  CHECK(test::says(rank, "[4, 48], expected [3, 48]"));
  const Error integers = broken_lora("lora", [](auto& d) { d.at(peft_q0 + "lora_A.weight").dtype = io::Dtype::i32; });
  CHECK(integers.id() == "io.250");
  const Tensor<float> nan = [] {
    Tensor<float> t(4, 48);
    t(1, 2) = std::nanf("");
    return t;
  }();
  const Error not_finite = broken_lora(
      "lora", [&](auto& d) { d.at(peft_q0 + "lora_A.weight").data = reinterpret_cast<const std::byte*>(nan.data()); });
  CHECK(not_finite.id() == "model.513");
  CHECK(test::says(not_finite, "row 1"));
}

TEST_CASE("a LoRA of a model with fewer layers does not load, and a cut file is not read") {
  const Error layers = broken_lora("lora", [](auto& d) {
    std::erase_if(d.tensors, [](const auto& t) { return t.name.find("layers.2.") != std::string::npos; });
  });
  CHECK(layers.id() == "adapter.650");
  const test::TempFolder folder;
  const std::string bytes = test::slurp(lora + "/adapter_model.safetensors");
  (void)folder.write("adapter_config.json", test::slurp(lora + "/adapter_config.json"));
  (void)folder.write("adapter_model.safetensors", bytes.substr(0, bytes.size() / 2));
  CHECK(test::error_of([&] { (void)interchange::open_adapter(folder.path()); }).id() == "io.223");
}

TEST_CASE("without a model a LoRA is described with the layers that its file names") {
  const auto file = interchange::open_adapter(test::golden("adapters/lora-rank-pattern"));
  CHECK(file.parts[0].placement.layers.all);
  CHECK(file.parts[0].settings["rank"] == 4);
  CHECK(file.parts[0].exceptions.at("model.layers.1.self_attn.v_proj.lora")["rank"] == 2);
  CHECK(file.parts[0].exceptions.at("model.layers.2.mlp.down_proj.lora")["rank"] == 6);
}

TEST_CASE("a magnitude vector is read under both of PEFT's spellings, and a lora_bias times the scale") {
  test::AdapterDraft draft(test::golden("adapters/dora"));
  for (io::TensorRef& tensor : draft.tensors) {
    tensor.name += tensor.name.ends_with("magnitude_vector") ? ".weight" : "";
  }
  const test::TempFolder folder;
  draft.write(folder.path("old"));
  const auto old = interchange::open_adapter(folder.path("old"), 3);
  CHECK(old.parts[0].adapter == "dora");
  CHECK(old.tensors.find(peft_q0 + "lora_magnitude_vector") != nullptr);
  const auto file = interchange::open_adapter(test::golden("adapters/lora-bias"), 2);
  const auto given = io::Safetensors::open(test::golden("adapters/lora-bias/adapter_model.safetensors"));
  CHECK(file.parts[1].adapter == "bias");
  CHECK(file.names.at("bias.bias") == "lora_B.bias");
  const auto found = io::in_place<double>(*file.tensors.find(peft_q0 + "lora_B.bias"));
  REQUIRE(found);
  CHECK((*found)(0, 5) == 1.5 * test::golden_tensor(given, peft_q0 + "lora_B.bias")(0, 5));
}

TEST_CASE("modules_to_save whose weights the file does not hold are refused") {
  const Error absent = refused({{"modules_to_save", {"lm_head"}}});
  CHECK(absent.id() == "adapter.670");
  CHECK(test::says(absent, "\"lm_head\" is none"));
}

TEST_CASE("a LoRA that was never trained is an error, and a warning where it is one module of several") {
  const Tensor<float> zeros(48, 4);
  const Tensor<float> narrow(16, 4);
  const auto bytes = [](const Tensor<float>& t) { return reinterpret_cast<const std::byte*>(t.data()); };
  const auto opened = [&](const std::string& ending) {
    test::AdapterDraft draft(lora);
    for (io::TensorRef& tensor : draft.tensors) {
      if (tensor.name.ends_with(ending)) {
        tensor.data = bytes(tensor.shape[0] == 48 ? zeros : narrow);
      }
    }
    const test::TempFolder folder;
    draft.write(folder.path("idle"));
    return interchange::open_adapter(folder.path("idle"), 3).warnings;
  };
  const Error none = test::error_of([&] { (void)opened("lora_B.weight"); });
  CHECK(none.id() == "adapter.780");
  CHECK(test::says(none, "changes nothing"));
  const auto some = opened("layers.1.self_attn.q_proj.lora_B.weight");
  REQUIRE(some.size() == 1);
  CHECK(some[0].find("1 of 6 modules") != std::string::npos);
}

TEST_CASE("a square factor is read as PEFT writes it, with a warning that nothing would tell it transposed") {
  test::AdapterDraft draft(lora);
  const Tensor<float> square = [] {
    Tensor<float> t(48, 48);
    t(1, 2) = 1;
    return t;
  }();
  for (const char* name : {"lora_A.weight", "lora_B.weight"}) {
    io::TensorRef& tensor = draft.at(peft_q0 + name);
    tensor = io::tensor_ref(tensor.name, square.view());
  }
  const test::TempFolder folder;
  draft.write(folder.path("square"));
  const auto file = interchange::open_adapter(folder.path("square"), 3);
  REQUIRE(file.warnings.size() == 1);
  CHECK(file.warnings[0].find("is square") != std::string::npos);
}
