// SPDX-License-Identifier: Apache-2.0
#include <graft/interchange/peft.hpp>

#include "support/catch.hpp"
#include "support/golden_logits.hpp"
#include "support/peft_folder.hpp"

using namespace graft;

namespace {

/// The largest error of the logits, relative to the largest of them.
template <class AttachedType>
double peft_logits_error(test::GoldenBase& base, AttachedType& attached, const std::string& model,
                         const std::string& name) {
  const auto golden = io::Safetensors::open(test::golden("adapters/" + name + "/io.safetensors"));
  return test::golden_logits_error(base.model, attached, golden, {}, model);
}

const std::pair<const char*, const char*> peft_cases[] = {
    {"lora", "llama-gqa"},          {"lora-bias", "qwen2-bias"},   {"lora-rank-pattern", "llama-gqa"},
    {"lora-layers", "llama-gqa"},   {"lora-all", "llama-gqa"},     {"dora", "llama-gqa"},
    {"dora-qwen2", "qwen2-bias"},   {"vera", "llama-gqa"},         {"ia3", "llama-gqa"},
    {"loha", "llama-gqa"},          {"lokr", "llama-gqa"},         {"lokr-both", "llama-gqa"},
    {"prompt-tuning", "llama-gqa"}, {"prefix-tuning", "llama-gqa"}};

}  // namespace

TEST_CASE("every folder as PEFT saved it gives PEFT's logits in double, and is written again bit by bit") {
  for (const auto& [name, model] : peft_cases) {
    INFO(name);
    const std::string golden = test::golden(std::string("adapters/") + name);
    test::GoldenBase base(model);
    const Index layers = base.model.layer_count();
    const auto file = interchange::open_adapter(golden, layers);
    CHECK(file.warnings.empty());
    auto attached = base.load<test::PeftStack>(golden);
    const io::Json facts = io::parse_json(test::slurp(golden + "/io.json"), golden);
    CHECK(parameter_count(attached) == facts["trainable"].get<Index>());
    CHECK(peft_logits_error(base, attached, model, name) < 1e-11);
    CHECK(test::merged_error(base.model, attached, io::Safetensors::open(golden + "/io.safetensors")) < 1e-12);

    const test::TempFolder folder;
    const std::string written = folder.path("written");
    interchange::write_peft(written, attached, base.model, "tiny-" + std::string(model));
    test::check_same_tensors(written, golden);
    test::check_same_parts(interchange::open_adapter(written, layers), file);
    const io::Json config = test::adapter_config(written);
    const io::Json expected = test::adapter_config(golden);
    for (const auto& [key, value] : expected.items()) {
      INFO(key);
      if (config.contains(key) && key != "projection_prng_key" && !key.ends_with("_pattern")) {
        CHECK(config[key] == value);
      }
    }
  }
}

TEST_CASE("LoRA-XS and CURLoRA are written as plain LoRA: the golden logits up to one rounding of B to float") {
  const auto check = [](const std::string& name, auto recipe, const auto& make) {
    INFO(name);
    test::GoldenBase base("llama-gqa");
    const std::string golden = test::golden("adapters/" + name);
    const auto file = io::Safetensors::open(golden + "/adapter.safetensors");
    test::OnLinear<decltype(recipe)> at{recipe, {.sites = site::none}};
    for (Sites one = 1; one <= site::down; one <<= 1) {
      const std::string start = module_path(0, one);
      for (const io::TensorRef& tensor : file.tensors()) {
        at.placement.sites |= tensor.name.starts_with(start + ".") ? one : site::none;
      }
    }
    auto attached = attach(test::reference, base.model, test::peft_stack(at), 1, make(file));
    attached.for_each_module([&](const auto&, const Placement&, auto& grafted) {
      const auto read = [&](const std::string& own, View<double> values) {
        io::decode_rows(file.at(grafted.place.name + "." + own), 0, values);
      };
      grafted.module.for_each_parameter([&](const char* own, Parameter<double>& p) { read(own, p.value); });
      if constexpr (requires { grafted.module.for_each_frozen(read); }) {
        grafted.module.for_each_frozen(read);
      }
    });
    CHECK(peft_logits_error(base, attached, "llama-gqa", name) < 1e-11);
    CHECK(test::merged_error(base.model, attached, io::Safetensors::open(golden + "/io.safetensors")) < 1e-12);
    const test::TempFolder folder;
    interchange::write_peft(folder.path("lora"), attached, base.model, "");
    CHECK(test::adapter_config(folder.path("lora"))["peft_type"] == "LORA");
    auto lora = base.load<test::PeftStack>(folder.path("lora"));
    CHECK(peft_logits_error(base, lora, "llama-gqa", name) < 2e-7);
  };
  check("lora-xs", adapters::LoraXs<>{.rank = 4, .alpha = 6}, [](const auto&) { return FreshModules{}; });
  check("curlora", adapters::CurLora<>{.rank = 5}, [](const io::Safetensors& file) {
    return [&file](const auto& be, auto& model, auto& grafted, Random random) {
      using Module = std::remove_cvref_t<decltype(grafted.module)>;
      if constexpr (std::same_as<std::remove_cvref_t<decltype(grafted.recipe)>, adapters::CurLora<>>) {
        const auto list = [&](const char* name) {
          const auto wide = io::read_integers(file.at(grafted.place.name + "." + name));
          return std::vector<std::int32_t>(wide.begin(), wide.end());
        };
        grafted.module = Module(grafted.recipe, {list("J"), list("K")}, grafted.place);
      } else {
        FreshModules{}(be, model, grafted, random);
      }
    };
  });
}

TEST_CASE("a LoRA with a whole norm, head and table beside it comes back as it was written") {
  test::GoldenBase base("llama-mha");  // an untied head
  const test::TempFolder folder;
  const auto trained = test::peft_stack(
      test::OnLinear<adapters::Lora<>>{{.rank = 3, .alpha = 5}, {.sites = site::query | site::down}},
      At<test::whole_weights, adapters::Full>{
          {}, {.sites = site::head | site::embedding | site::final_norm | site::attention_norm | site::key}});
  auto attached = attach(test::reference, base.model, trained, 1);
  test::stir(attached);
  interchange::write_peft(folder.path("a"), attached, base.model, "");
  const io::Json config = test::adapter_config(folder.path("a"));
  CHECK(config["modules_to_save"].size() == 3 + 2 * static_cast<std::size_t>(base.model.layer_count()));
  const auto file = io::Safetensors::open(folder.path("a") + "/adapter_model.safetensors");
  CHECK(file.at("base_model.model.model.norm.weight").shape.size() == 1);
  CHECK(file.at("base_model.model.lm_head.weight").shape.size() == 2);
  test::GoldenBase fresh("llama-mha");
  auto loaded = fresh.load<test::PeftStack>(folder.path("a"));
  interchange::write_peft(folder.path("b"), loaded, fresh.model, "");
  test::check_same_tensors(folder.path("b"), folder.path("a"));
  test::check_same_parts(interchange::open_adapter(folder.path("b"), 2),
                         interchange::open_adapter(folder.path("a"), 2));
  CHECK(test::identical(std::as_const(fresh.model.final_norm).view(), std::as_const(base.model.final_norm).view()));
}

TEST_CASE("a trained table is refused where the model's head is that table") {
  const Tensor<float> table = test::numbers(131, 48, 1);
  const Error error = test::broken_peft("lora", [&](auto& d) {
    d.config["modules_to_save"] = {"embed_tokens"};
    d.tensors.push_back(io::tensor_ref("base_model.model.model.embed_tokens.weight", table.view()));
  });
  CHECK(error.id() == "adapter.783");
  CHECK(test::says(error, "model.embed_tokens"));
}

TEST_CASE("a stack that is no single adapter of PEFT is refused in one sentence, and nothing is written") {
  test::GoldenBase base("llama-gqa");
  const test::TempFolder folder;
  const auto refused = [&](const auto&... chosen) {
    auto attached = attach(test::reference, base.model, test::peft_stack(chosen...), 1);
    const Error error = test::error_of([&] { interchange::write_peft(folder.path("x"), attached, base.model, ""); });
    CHECK(error.id() == "adapter.673");
    CHECK(folder.entries() == 0);
    const Error asked = test::error_of([&] { interchange::check_peft(folder.path("x"), attached, base.model); });
    CHECK(std::string(asked.what()) == error.what());
    return error;
  };
  const test::OnLinear<adapters::Lora<>> lora{{.rank = 2}, {.sites = site::query}};
  auto good = attach(test::reference, base.model, test::peft_stack(lora), 1);
  CHECK_NOTHROW(interchange::check_peft(folder.path("x"), good, base.model));
  CHECK(folder.entries() == 0);
  CHECK(test::says(refused(At<site::residual, adapters::Red>{}), "PEFT has no adapter like"));
  CHECK(test::says(refused(lora, test::OnLinear<adapters::Loha<>>{{}, {.sites = site::key}}), "one kind of adapter"));
  CHECK(test::says(refused(lora, test::OnLinear<adapters::Dora<>>{{}, {.sites = site::key}}), "one kind of adapter"));
  CHECK(
      test::says(refused(lora, test::OnLinear<adapters::Pmss<>>{{.rank = 2}, {.sites = site::query}}), "two adapters"));
  CHECK(test::says(refused(test::OnLinear<adapters::Bias>{{}, {.sites = site::query}}), "beside a LoRA"));
  CHECK(test::says(refused(lora, test::OnLinear<adapters::Bias>{{}, {.sites = site::key}}), "no LoRA beside it"));
  CHECK(test::says(refused(lora, At<test::whole_weights, adapters::Full>{{}, {.sites = site::embedding}}),
                   "the head too"));
  CHECK(test::says(refused(), "no module"));
}

TEST_CASE("an adapter that PEFT has and graft has not is refused by its peft_type") {
  const Error error = test::refused_peft("lora", {{"peft_type", "ADALORA"}});
  CHECK(error.id() == "adapter.658");
  CHECK(test::says(error, "ADALORA"));
  CHECK(test::refused_peft("lora", {{"peft_type", "VERA"}}).id() == "adapter.671");  // lora_alpha is none of its keys
}
