// SPDX-License-Identifier: Apache-2.0
#include <graft/interchange/mlx.hpp>

#include "support/catch.hpp"
#include "support/golden_logits.hpp"
#include "support/low_rank_stack.hpp"

using namespace graft;

namespace {

/// A copy of a golden folder of mlx-lm, to be broken.
struct MlxDraft {
  test::TempFolder folder;
  io::Json config;
  std::vector<io::TensorRef> tensors;
  io::Safetensors source;

  explicit MlxDraft(const std::string& name)
      : config(test::adapter_config(test::golden("mlx/" + name))),
        source(io::Safetensors::open(test::golden("mlx/" + name + "/adapters.safetensors"))) {
    tensors.assign(source.tensors().begin(), source.tensors().end());
  }
  [[nodiscard]] io::TensorRef& at(const std::string& name) {
    return *std::find_if(tensors.begin(), tensors.end(), [&](const io::TensorRef& t) { return t.name == name; });
  }
  [[nodiscard]] models::AdapterFile open(Index layers = 3) const {
    (void)folder.write("adapter_config.json", config.dump());
    io::write_safetensors(folder.path("adapters.safetensors"), tensors, {});
    return interchange::open_adapter(folder.path(), layers);
  }
  [[nodiscard]] Error error(Index layers = 3) const {
    return test::error_of([&] { (void)open(layers); });
  }
};

constexpr const char* mlx_query = "model.layers.2.self_attn.q_proj";

}  // namespace

TEST_CASE("folders of mlx-lm are known by their files and give mlx-lm's logits: LoRA, DoRA, whole paths") {
  test::GoldenBase base("llama-gqa");
  for (const std::string name : {"lora", "dora", "paths"}) {
    INFO(name);
    const std::string golden = test::golden("mlx/" + name);
    auto attached = base.load<test::LowRank>(golden);
    CHECK(test::golden_logits_error(base.model, attached, io::Safetensors::open(golden + "/io.safetensors")) < 1e-11);
  }
}

TEST_CASE("num_layers counts from the end, scale is the whole factor, and no keys mean every map") {
  const auto lora = interchange::open_adapter(test::golden("mlx/lora"), 3);
  CHECK(lora.peft_type == "mlx-lm LoRA");
  CHECK(lora.base_model == "tiny-llama-gqa");
  CHECK(lora.warnings.empty());
  CHECK(lora.parts[0].settings == io::Json{{"rank", 4}, {"alpha", 10.0}, {"dropout", 0.1}});
  CHECK(lora.parts[0].placement.layers.chosen == std::vector<Index>{1, 2});
  CHECK(lora.parts[0].placement.sites == (site::query | site::value | site::down));
  const auto dora = interchange::open_adapter(test::golden("mlx/dora"));  // without a model
  CHECK(dora.parts[0].adapter == "dora");
  CHECK(dora.parts[0].placement.layers.all);
  CHECK(dora.parts[0].placement.sites == site::linear);
  const auto paths = interchange::open_adapter(test::golden("mlx/paths"), 3);
  CHECK(paths.parts[0].placement.modules ==
        std::vector<std::string>{"model.layers.0.self_attn.o_proj", "model.layers.2.mlp.gate_proj"});
}

TEST_CASE("a key of mlx-lm that names nothing is a warning, keys that name no map or a table are errors") {
  MlxDraft draft("lora");
  draft.config["lora_parameters"]["keys"].push_back("mlp.c_proj");
  REQUIRE(draft.open().warnings.size() == 1);
  CHECK(draft.open().warnings[0].find("mlp.c_proj") != std::string::npos);
  draft.config["lora_parameters"]["keys"].push_back("lm_head");
  CHECK(draft.error().id() == "adapter.824");
  draft.config["lora_parameters"]["keys"] = {"q_proj"};
  const Error leaf = draft.error();
  CHECK(leaf.id() == "adapter.824");
  CHECK(test::says(leaf, "\"self_attn.q_proj\""));
}

TEST_CASE("full finetuning, unknown settings and impossible ranks of mlx-lm are refused") {
  MlxDraft draft("lora");
  draft.config["fine_tune_type"] = "full";
  const Error full = draft.error();
  CHECK(full.id() == "adapter.822");
  CHECK(test::says(full, "mlx_lm.fuse"));
  draft.config.erase("fine_tune_type");  // older files: lora
  CHECK(draft.error().id() == "none");
  draft.config["lora_parameters"]["alpha"] = 16;
  CHECK(draft.error().id() == "adapter.823");
  draft.config["lora_parameters"].erase("alpha");
  draft.config["lora_parameters"]["rank"] = 0;
  CHECK(draft.error().id() == "adapter.823");
  draft.config["lora_parameters"]["rank"] = 4;
  draft.config["lora_parameters"]["dropout"] = 1;
  CHECK(draft.error().id() == "adapter.823");
  draft.config["lora_parameters"].erase("scale");
  CHECK(draft.error().id() == "io.212");
  draft.config.erase("lora_parameters");
  CHECK(draft.error().id() == "io.212");
}

TEST_CASE("missing, left over, transposed and non-finite tensors of mlx-lm are errors that name them") {
  const std::string key = std::string(mlx_query) + ".lora_a";
  MlxDraft missing("lora");
  missing.at(key).name = std::string(mlx_query) + ".lora_c";
  CHECK(missing.error().id() == "adapter.820");
  CHECK(test::says(missing.error(), key));
  MlxDraft deeper("lora");
  CHECK(deeper.error(4).id() == "adapter.820");  // the last two of four layers are others
  MlxDraft extra("lora");
  extra.config["lora_parameters"]["keys"] = {"self_attn.q_proj", "self_attn.v_proj"};
  CHECK(extra.error().id() == "adapter.820");
  CHECK(test::says(extra.error(), "down_proj"));
  MlxDraft transposed("lora");
  std::swap(transposed.at(key).shape[0], transposed.at(key).shape[1]);
  CHECK(transposed.error().id() == "adapter.821");
  CHECK(test::says(transposed.error(), "it is transposed"));
  MlxDraft rank("lora");
  rank.config["lora_parameters"]["rank"] = 5;
  CHECK(rank.error().id() == "adapter.821");
  MlxDraft nan("lora");
  const std::vector<float> numbers(48 * 4, std::numeric_limits<float>::quiet_NaN());
  nan.at(key).data = reinterpret_cast<const std::byte*>(numbers.data());
  CHECK(nan.error().id() == "model.513");
  MlxDraft dora("dora");
  std::erase_if(dora.tensors, [](const io::TensorRef& t) { return t.name.ends_with("2.mlp.up_proj.m"); });
  CHECK(dora.error().id() == "adapter.820");
  test::GoldenBase base("llama-gqa");
  MlxDraft narrow("lora");  // fits its rank, not the model
  narrow.at(key).shape = {24, 4};
  narrow.at(key).bytes /= 2;
  (void)narrow.open();
  CHECK(test::error_of([&] { (void)base.load<test::LowRank>(narrow.folder.path()); }).id() == "adapter.651");
}

TEST_CASE("a cut file of mlx-lm is refused") {
  const MlxDraft draft("lora");
  (void)draft.open();
  const std::string whole = test::slurp(draft.folder.path("adapters.safetensors"));
  (void)draft.folder.write("adapters.safetensors", whole.substr(0, whole.size() - 8));
  CHECK(test::error_of([&] { (void)interchange::open_adapter(draft.folder.path(), 3); }).id() == "io.223");
}
