// SPDX-License-Identifier: Apache-2.0
#include <graft/interchange/peft_export.hpp>

#include <graft/adapters/olora.hpp>
#include <graft/adapters/pissa.hpp>

#include "support/catch.hpp"
#include "support/peft_folder.hpp"
#include "support/tensors.hpp"

using namespace graft;

namespace {

using LoraOrPmss = Stack<At<site::linear, adapters::Lora<>>, At<site::linear, adapters::Pmss<>>>;

/// The stack of a golden PMSS folder, with its U.
auto golden_pmss(test::GoldenBase& base, const std::string& folder, const io::Json& facts) {
  const auto file = io::Safetensors::open(folder + "/pmss.safetensors");
  LoraOrPmss stack;
  std::get<0>(stack.parts).placement.sites = site::none;
  auto& at = std::get<1>(stack.parts);
  at.adapter = {.columns = facts["c"], .rows = facts["r"], .alpha = facts["alpha"]};
  at.placement.sites = site::none;
  for (Sites one = 1; one <= site::down; one <<= 1) {
    at.placement.sites |= file.find(module_path(0, one) + ".U") != nullptr ? one : site::none;
  }
  auto attached = attach(backends::Reference{}, base.model, stack, 1, [&](const auto&, auto&, auto& grafted, Random) {
    using A = std::remove_cvref_t<decltype(grafted.recipe)>;
    if constexpr (std::same_as<A, adapters::Pmss<>>) {
      const auto list = [&](const char* name) {
        const auto wide = io::read_integers(file.at(grafted.place.name + "." + name));
        return std::vector<std::int32_t>(wide.begin(), wide.end());
      };
      grafted.module = typename A::template Module<double>(grafted.recipe, {list("J"), list("K")}, grafted.place);
    }
  });
  for (auto& grafted : std::get<1>(attached.parts).modules) {
    grafted.module.for_each_parameter(
        [&](const char*, Parameter<double>& u) { io::decode_rows(file.at(grafted.place.name + ".U"), 0, u.value); });
  }
  return attached;
}

}  // namespace

TEST_CASE("a PEFT LoRA that was read is written with the same bytes, and describes the same modules") {
  for (const std::string name : {"lora", "lora-all", "lora-rank-pattern", "lora-layers", "lora-rs"}) {
    INFO(name);
    const std::string golden = test::golden("adapters/" + name);
    test::GoldenBase base("llama-gqa");
    auto attached = base.load<LoraOrPmss>(golden);
    const test::TempFolder folder;
    const std::string written = folder.path("written");
    interchange::write_peft_lora(written, attached, base.model, "tiny-llama-gqa");
    test::check_same_tensors(written, golden);
    const auto before = interchange::open_adapter(golden, 3).parts[0];
    const auto after = interchange::open_adapter(written, 3).parts[0];
    CHECK(after.settings == before.settings);
    CHECK(after.exceptions == before.exceptions);
    CHECK(after.placement.sites == before.placement.sites);
    CHECK(after.placement.layers.all == before.placement.layers.all);
    CHECK(after.placement.layers.chosen == before.placement.layers.chosen);
    const io::Json config = test::adapter_config(written), expected = test::adapter_config(golden);
    CHECK(config["r"] == expected["r"]);
    CHECK(config["target_modules"] == expected["target_modules"]);
    CHECK(config["layers_to_transform"] == expected["layers_to_transform"]);
    if (name != "lora-rs") {  // read as alpha / rank, and written so
      CHECK(config["lora_alpha"] == expected["lora_alpha"]);
      CHECK(config["lora_alpha"].is_number_integer());
    }
  }
}

TEST_CASE("modules that are no product of layers and projections are written by their whole paths") {
  test::GoldenBase base("llama-gqa");
  test::AdapterDraft draft(test::golden("adapters/lora"));
  draft.config["target_modules"] = {"model.layers.0.self_attn.q_proj", "model.layers.2.self_attn.v_proj"};
  std::erase_if(draft.tensors, [](const auto& t) {
    return t.name.find("layers.0.self_attn.q") == std::string::npos &&
           t.name.find("layers.2.self_attn.v") == std::string::npos;
  });
  const test::TempFolder folder;
  draft.write(folder.path("draft"));
  auto attached = base.load<LoraOrPmss>(folder.path("draft"));
  interchange::write_peft_lora(folder.path("again"), attached, base.model, "");
  CHECK(test::adapter_config(folder.path("again"))["target_modules"] == draft.config["target_modules"]);
  CHECK(parameter_count(attached) == 4 * (48 + 48) + 4 * (48 + 16));
}

TEST_CASE("rsLoRA is written as such, beside plain LoRA as alpha over rank") {
  test::GoldenBase base("llama-gqa");
  using Root = At<site::query, adapters::RsLora<>>;
  using Plain = At<site::key, adapters::Lora<>>;
  const test::TempFolder folder;
  auto root = attach(backends::Reference{}, base.model, Stack{Root{{.rank = 4, .alpha = 6}, {}}}, 1);
  interchange::write_peft_lora(folder.path("root"), root, base.model, "");
  CHECK(test::adapter_config(folder.path("root"))["use_rslora"] == true);
  CHECK(test::adapter_config(folder.path("root"))["lora_alpha"] == 6);
  auto mixed = attach(backends::Reference{}, base.model,
                      Stack{Root{{.rank = 4, .alpha = 6}, {}}, Plain{{.rank = 4, .alpha = 6}, {}}}, 1);
  test::stir(mixed);
  interchange::write_peft_lora(folder.path("mixed"), mixed, base.model, "");
  const auto part = interchange::open_adapter(folder.path("mixed"), 3).parts[0];
  CHECK(test::adapter_config(folder.path("mixed"))["use_rslora"] == false);
  const auto alpha = [&](const std::string& module) {
    const auto own = part.exceptions.find(module + ".lora");
    return (own == part.exceptions.end() ? part.settings : own->second)["alpha"];
  };
  CHECK(alpha("model.layers.1.self_attn.q_proj") == 12);  // 6 / sqrt(4) = 12 / 4
  CHECK(alpha("model.layers.1.self_attn.k_proj") == 6);
}

TEST_CASE("PMSS is written as the LoRA that the golden folder holds, and computes the golden logits") {
  for (const std::string name : {"pmss", "pmss-rect", "pmss-two-stage"}) {
    INFO(name);
    const std::string golden = test::golden("adapters/" + name);
    const io::Json facts = io::parse_json(test::slurp(golden + "/io.json"), golden);
    test::GoldenBase base("llama-gqa");
    auto attached = golden_pmss(base, golden, facts);
    const test::TempFolder folder;
    const std::string written = folder.path("lora");
    interchange::write_peft_lora(written, attached, base.model, "tiny-llama-gqa");
    test::check_same_tensors(written, golden + "/lora");
    CHECK(test::adapter_config(written)["lora_alpha"] == test::adapter_config(golden + "/lora")["lora_alpha"]);
    CHECK(test::adapter_config(written)["r"] == facts["r"]);
    CHECK(test::adapter_config(written)["target_modules"] == test::adapter_config(golden + "/lora")["target_modules"]);
    auto lora = base.load<LoraOrPmss>(written);
    const auto io = io::Safetensors::open(golden + "/io.safetensors");
    const train::Batch batch =
        test::golden_batch(io::Safetensors::open(test::golden("models/llama-gqa/io.safetensors")));
    auto* member = &lora;
    models::LlamaRun<test::GoldenLlama, decltype(lora)> run;
    const backends::Reference be;
    run.forward(be, base.model, std::span(&member, 1), batch.ragged, batch.tokens, 1);
    const std::vector<Index> rows = test::every_row(batch.ragged.tokens());
    Tensor<double> logits(batch.ragged.tokens(), base.model.config.vocab);
    run.logits(be, base.model, rows, logits.view());
    CHECK(test::relative_error(logits.view(), test::golden_tensor(io, "logits").view()) < 1e-7);  // C U in float
  }
}

TEST_CASE(
    "PiSSA and OLoRA are written as PEFT converts them, and come back from a folder of ours without a decomposition") {
  const auto check = [](const std::string& name, auto recipe) {
    INFO(name);
    using Anchored = At<site::query | site::down, decltype(recipe)>;
    const std::string golden = test::golden("adapters/" + name);
    test::GoldenBase base("llama-gqa");
    recipe.rank = 4;
    recipe.alpha = 8;
    auto attached = attach(test::reference, base.model, Stack{Anchored{recipe, {}}}, 1);
    const auto trained = io::Safetensors::open(golden + "/adapter_model.safetensors");
    const auto initial = io::Safetensors::open(golden + "/initial/adapter_model.safetensors");
    for (auto& grafted : std::get<0>(attached.parts).modules) {
      const std::string key = "base_model.model." + grafted.place.name + ".";
      grafted.module.for_each_parameter([&](const char* own, Parameter<double>& parameter) {
        io::decode_rows(trained.at(key + own), 0, parameter.value);
      });
      grafted.module.for_each_frozen([&](const std::string& own, View<double> values) {
        io::decode_rows(initial.at(key + "lora" + own.substr(own.find('_'))), 0, values);
      });
    }
    const test::TempFolder folder;
    interchange::write_peft_lora(folder.path("lora"), attached, base.model, "tiny-llama-gqa");
    test::check_same_tensors(folder.path("lora"), golden + "/converted");
    const io::Json config = test::adapter_config(folder.path("lora"));
    const io::Json expected = test::adapter_config(golden + "/converted");
    CHECK(config["r"] == expected["r"]);
    CHECK(config["lora_alpha"] == expected["lora_alpha"]);

    models::save_adapter(folder.path("own"), attached, base.fingerprint, "tiny-llama-gqa");
    auto loaded = base.load<Stack<Anchored>>(folder.path("own"));
    interchange::write_peft_lora(folder.path("again"), loaded, base.model, "tiny-llama-gqa");
    CHECK(test::slurp(folder.path("again") + "/adapter_model.safetensors") ==
          test::slurp(folder.path("lora") + "/adapter_model.safetensors"));
    using Plain = Stack<At<site::linear, adapters::Lora<>>>;
    CHECK(test::error_of([&] { (void)base.load<Plain>(folder.path("own")); }).id() == "adapter.654");
  };
  check("pissa", adapters::Pissa<>{});
  check("olora", adapters::Olora<>{});
}

TEST_CASE("PiSSA of a model in single precision is written as what it is") {
  using Model = models::Llama<Uniform<float>, backends::Reference>;
  Model model = Model::load(models::open_checkpoint(test::golden("models/llama-gqa")));
  auto attached = attach(test::reference, model, Stack{At<site::linear, adapters::Pissa<>>{{.rank = 4}, {}}}, 1);
  const test::TempFolder folder;
  interchange::write_peft_lora(folder.path("lora"), attached, model, "");
  const auto file = io::Safetensors::open(folder.path("lora") + "/adapter_model.safetensors");
  for (auto& grafted : std::get<0>(attached.parts).modules) {
    const std::string key = "base_model.model." + grafted.place.name + ".lora_";
    const Tensor<double> a = test::golden_tensor(file, key + "A.weight"),
                         b = test::golden_tensor(file, key + "B.weight");
    for (const Index half : {0, 4}) {  // untrained, both halves are the start
      for (Index i = 0; i < 4; ++i) {
        CHECK(a(half + i, 0) == static_cast<double>(std::as_const(grafted.module).a()(i, 0)));
        CHECK(b(0, half + i) == (half == 0 ? 1 : -1) * static_cast<double>(std::as_const(grafted.module).b()(0, i)));
      }
    }
  }
}

TEST_CASE("what is no LoRA, and two adapters at one place, cannot be one PEFT folder, and nothing is written") {
  test::GoldenBase base("llama-gqa");
  const test::TempFolder folder;
  auto twice =
      attach(backends::Reference{}, base.model,
             Stack{At<site::query, adapters::Lora<>>{}, At<site::query, adapters::Pmss<>>{{.rank = 4}, {}}}, 1);
  const Error both = test::error_of([&] { interchange::write_peft_lora(folder.path("twice"), twice, base.model, ""); });
  CHECK(both.id() == "adapter.673");
  auto full = attach(backends::Reference{}, base.model, Stack{At<site::query, adapters::Full>{}}, 1);
  const Error other = test::error_of([&] { interchange::write_peft_lora(folder.path("full"), full, base.model, ""); });
  CHECK(other.id() == "adapter.673");
  auto loha = attach(backends::Reference{}, base.model, Stack{At<site::query, adapters::Loha<>>{}}, 1);
  const Error kind = test::error_of([&] { interchange::write_peft_lora(folder.path("loha"), loha, base.model, ""); });
  CHECK(kind.id() == "adapter.673");
  CHECK(test::says(kind, "model.layers.0.self_attn.q_proj.loha"));
  CHECK(folder.entries() == 0);
}
