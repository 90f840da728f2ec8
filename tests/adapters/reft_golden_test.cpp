// SPDX-License-Identifier: Apache-2.0
// What pyreft computes in double: logits, loss and gradients of its interventions, and text generated under one of them.
#include <algorithm>  // find, max_element

#include <graft/io/json.hpp>

#include "contracts/adapter_contract.hpp"
#include "support/catch.hpp"
#include "support/every_method.hpp"
#include "support/files.hpp"
#include "support/golden_model.hpp"

using namespace graft;

namespace {

using GoldenBench = test::Bench<double, backends::Reference, test::EveryMethod>;
using GoldenModel = GoldenBench::Model;
using AttachedType = GoldenBench::AttachedType;
const std::vector<std::string> kinds = {"loreft",   "noreft",   "nodireft",         "direft",
                                        "consreft", "lobireft", "noreft with bias", "loreft-relu"};

auto golden_stack(const std::string& kind, const Placement& placement) {
  const auto member = static_cast<std::size_t>(std::find(kinds.begin(), kinds.end(), kind) - kinds.begin());
  return GoldenBench::whole(test::only_number(test::first_reft + member, 4, placement), false);
}

/// One golden case: its placement, its prompts, its tensors.
struct Case {
  std::string name;
  std::string kind;
  io::Safetensors file;
  std::vector<Index> prompts;
  Placement placement;
  std::vector<Index> layers;
  std::vector<std::uint64_t> subspaces;

  explicit Case(const std::string& folder)
      : name(folder),
        kind(folder.substr(0, folder.find('-'))),
        file(io::Safetensors::open(test::golden("reft/" + folder + "/io.safetensors"))) {
    if (file.find("I0.b2") != nullptr && kind == "noreft") {
      kind = "noreft with bias";
    } else if (folder == "loreft-relu") {
      kind = folder;
    } else if (folder == "subloreft") {
      kind = "loreft";
      subspaces = {0b0011, 0b1100, 0b1111};  // of its three sequences
    }
    const std::string path = test::golden("reft/" + folder + "/io.json");
    const io::Json note = io::parse_json(test::slurp(path), path);
    prompts = io::json_get<std::vector<Index>>(note, "prompt_lengths", path);
    layers = io::json_get<std::vector<Index>>(note, "layers", path);
    const auto rule = io::json_get<std::string>(note, "positions_rule", path);
    const auto component = io::json_get<std::string>(note, "component", path);
    placement.layers = only_layers({0, 2});
    placement.tied = io::json_get<bool>(note, "tied", path);
    placement.positions = rule == "all" ? every_position : rule == "f1+l3" ? ends(1, 3) : ends(2, 2);
    placement.sites = component == "block_output"                  ? site::residual
                      : component.find("mlp") != std::string::npos ? site::feed_forward
                                                                   : site::attention;
  }
  /// "I2.": layers first, and where untied the suffixes after all prefixes.
  template <class G>
  [[nodiscard]] static std::string prefix(const G& grafted) {
    return "I" + std::to_string((grafted.place.layer == 0 ? 0 : 1) + (grafted.part == Part::suffix ? 2 : 0)) + ".";
  }
  [[nodiscard]] std::string key(const std::string& part) const {
    const bool free = kind.starts_with("noreft") || kind == "nodireft";
    return free && part == "R" ? "W2" : free && part == "W" ? "W1" : part;
  }
  void fill(AttachedType& attached) const {
    const backends::Reference be;
    attached.for_each_module([&](const auto&, const Placement&, auto& grafted) {
      grafted.module.for_each_parameter([&](const std::string& part, Parameter<double>& p) {
        const std::string name_in_file = prefix(grafted) + key(part);
        be.copy(test::golden_tensor(file, name_in_file).view(), p.value);
      });
    });
  }
};

}  // namespace

TEST_CASE("logits, loss and gradients of pyreft's interventions equal the golden ones") {
  std::vector<std::string> names = {"loreft-attention", "loreft-mlp",          "loreft-trained",
                                    "loreft-relu",      "subloreft",           "loreft-o_proj-all",
                                    "direft-down_proj", "noreft-down_proj-all"};
  for (const std::string& kind : std::vector(kinds.begin(), kinds.begin() + 6)) {
    for (const char* where : {"-tied", "-untied", "-all"}) {
      names.push_back(kind + where);
    }
  }
  GoldenModel model = GoldenModel::load(models::open_checkpoint(test::golden("models/llama-gqa")));
  const auto io = io::Safetensors::open(test::golden("models/llama-gqa/io.safetensors"));
  models::LlamaRun<GoldenModel, AttachedType> run;
  const backends::Reference be{.block_rows = 5};
  for (const std::string& name : names) {
    INFO(name);
    const Case golden(name);
    auto attached = attach(be, model, golden_stack(golden.kind, golden.placement), 1);
    golden.fill(attached);
    train::Batch batch = test::golden_batch(io, golden.prompts);
    batch.ragged.subspace = golden.subspaces;
    auto* member = &attached;
    run.forward(be, model, std::span(&member, 1), batch.ragged, batch.tokens, static_cast<Index>(batch.rows.size()),
                {.keep = true});
    const std::vector<Index> rows = test::every_row(batch.ragged.tokens());
    Tensor<double> logits(batch.ragged.tokens(), model.config.vocab);
    run.logits(be, model, rows, logits.view());
    CHECK(test::relative_error(logits.view(), test::golden_tensor(golden.file, "logits").view()) < 1e-11);
    const double loss = test::mean_of(batch) * run.loss(be, model, batch.rows, batch.targets, test::mean_of(batch));
    CHECK(std::abs(loss - test::golden_tensor(golden.file, "loss")(0, 0)) < 1e-12);
    run.backward(be, model);
    Index compared = 0;
    attached.for_each_module([&](const auto&, const Placement&, auto& grafted) {
      grafted.module.for_each_parameter([&](const std::string& part, Parameter<double>& p) {
        const std::string key = "grad." + Case::prefix(grafted) + golden.key(part);
        CAPTURE(key);
        CHECK(test::relative_error(p.gradient.view(), test::golden_tensor(golden.file, key).view()) < 1e-10);
        ++compared;
      });
    });
    CHECK(compared == static_cast<Index>(golden.layers.size()) * (golden.kind == "consreft" || golden.kind == "lobireft"
                                                                      ? 2
                                                                  : golden.kind == "noreft with bias" ? 4
                                                                                                      : 3));
  }
}

TEST_CASE("generation under LoReFT writes pyreft's tokens, with a key store and without") {
  const backends::Reference be;
  GoldenModel model = GoldenModel::load(models::open_checkpoint(test::golden("models/llama-gqa")));
  const Case golden("loreft-tied");
  auto attached = attach(be, model, golden_stack("loreft", golden.placement), 1);
  golden.fill(attached);
  auto* member = &attached;
  models::LlamaRun<GoldenModel, AttachedType> run;
  const std::vector<Index> expected = io::read_integers(golden.file.at("generated"));
  const Index prompt = golden.prompts[2];
  for (const bool cached : {true, false}) {
    CAPTURE(cached);
    std::vector<std::int32_t> ids;
    for (Index t = 0; t < prompt; ++t) {
      ids.push_back(static_cast<std::int32_t>(expected[static_cast<std::size_t>(t)]));
    }
    models::KeyStore<double> store(model.config, 1, static_cast<Index>(expected.size()));
    Index read = 0;
    while (ids.size() < expected.size()) {
      Ragged batch;
      const std::span<const std::int32_t> fresh = std::span(ids).subspan(static_cast<std::size_t>(read));
      batch.push(static_cast<Index>(fresh.size()), prompt, read);
      run.forward(be, model, std::span(&member, 1), batch, fresh, 1, {}, cached ? &store : nullptr);
      Tensor<double> logits(1, model.config.vocab);
      const Index last[] = {batch.tokens() - 1};
      run.logits(be, model, last, logits.view());
      ids.push_back(
          static_cast<std::int32_t>(std::max_element(logits.data(), logits.data() + logits.size()) - logits.data()));
      read = cached ? static_cast<Index>(ids.size()) - 1 : 0;
    }
    CHECK(std::equal(ids.begin(), ids.end(), expected.begin(), expected.end()));
  }
}
