// SPDX-License-Identifier: Apache-2.0
#include <graft/interchange/adapterhub.hpp>

#include <limits>
#include <tuple>

#include <graft/interchange/open_any.hpp>

#include "support/catch.hpp"
#include "support/golden_logits.hpp"

using namespace graft;

namespace {

template <class A>
using AfterBlocks = At<site::residual, A>;
using HubFamily = Stack<AfterBlocks<adapters::LoReft<>>, AfterBlocks<adapters::NoReft<>>,
                        AfterBlocks<adapters::DiReft<>>, AfterBlocks<adapters::ActivatedLoReft<ops::Activation::relu>>>;

/// A golden folder of AdapterHub with its configuration and tensors at hand, to be broken.
struct HubDraft {
  std::string path;
  io::Json config;
  io::NamedTensors source;
  std::vector<io::TensorRef> tensors;

  explicit HubDraft(const std::string& name)
      : path(test::golden("adapterhub/" + name)), config(test::adapter_config(path)) {
    const std::string pickle = path + "/pytorch_adapter.bin";
    source = io::exists(pickle) ? io::open_torch_zip(pickle) : io::Safetensors::open(path + "/adapter.safetensors");
    tensors.assign(source.tensors().begin(), source.tensors().end());
    if (name.starts_with("noreft") || name.starts_with("direft")) {
      config["config"]["subtract_projection"] = name.starts_with("noreft");
    }
  }
  [[nodiscard]] io::TensorRef& at(const std::string& ending) {
    return *std::find_if(tensors.begin(), tensors.end(),
                         [&](const io::TensorRef& t) { return t.name.ends_with(ending); });
  }
  [[nodiscard]] models::AdapterFile open(Index layers = 3) const {
    return interchange::read_adapterhub(path, config, {path, tensors, source.keepalive()}, layers);
  }
  [[nodiscard]] Error error(Index layers = 3) const {
    return test::error_of([&] { (void)open(layers); });
  }
  /// The error where config.KEY has this value.
  [[nodiscard]] Error error_with(const std::string& key, const io::Json& value) {
    io::Json& one = config["config"][key];
    const io::Json kept = std::exchange(one, value);
    const Error found = error();
    one = kept;
    return found;
  }
};

}  // namespace

TEST_CASE(
    "folders of AdapterHub give its logits: orthonormal and free, tied and apart, one end, activated, both files") {
  test::GoldenBase base("llama-gqa");
  for (const std::string name : {"loreft-untied", "loreft-prefix", "loreft-relu", "noreft-tied", "direft-suffix"}) {
    INFO(name);
    const HubDraft draft(name);
    auto attached = models::load_adapter<HubFamily>(test::reference, base.model, base.fingerprint, draft.open());
    const double error = test::golden_logits_error(base.model, attached,
                                                   io::Safetensors::open(draft.path + "/io.safetensors"), {5, 17, 40});
    CHECK(error < (name.starts_with("loreft") ? 1e-6 : 1e-11));  // R is rounded to fp32 from a product in double
  }
}

TEST_CASE("the configuration of AdapterHub says rank, dropout, layers, positions and what is tied") {
  const auto untied = HubDraft("loreft-untied").open();
  CHECK(untied.peft_type == "AdapterHub ReFT");
  CHECK(untied.base_model == "tiny-llama-gqa");
  CHECK(untied.parts[0].settings == io::Json{{"rank", 4}, {"dropout", 0.05}});
  CHECK(untied.parts[0].policies == models::policies_of<adapters::LoReft<>>());
  CHECK(untied.parts[0].placement.layers.chosen == std::vector<Index>{0, 2});
  CHECK(untied.parts[0].placement.positions == ends(2, 2));
  CHECK(untied.parts[0].placement.splits());
  CHECK(untied.warnings.size() == 1);
  const auto prefix = HubDraft("loreft-prefix").open(0);  // without a model
  CHECK(prefix.parts[0].placement.layers.all);
  CHECK_FALSE(prefix.parts[0].placement.splits());
  CHECK(prefix.tensors.tensors().size() == 3 * 3);  // the units of the suffix edit nothing
  CHECK(HubDraft("noreft-tied").open().parts[0].policies == models::policies_of<adapters::NoReft<>>());
  CHECK(HubDraft("direft-suffix").open().parts[0].policies == models::policies_of<adapters::DiReft<>>());
}

TEST_CASE("non_linearity has the words of transformers") {
  HubDraft draft("loreft-relu");
  for (const auto& [theirs, ours] : {std::pair<io::Json, std::string>{nullptr, "affine"},
                                     {"linear", "affine"},
                                     {"tanh", "tanh"},
                                     {"swish", "silu"},
                                     {"silu", "silu"},
                                     {"gelu_new", "gelu_pytorch_tanh"}}) {
    draft.config["config"]["non_linearity"] = theirs;
    CHECK(draft.open().parts[0].policies["source"] == ours);
  }
  CHECK(draft.error_with("non_linearity", "gelu").id() == "adapter.827");
  CHECK(draft.error_with("non_linearity", 1).id() == "adapter.827");
}

TEST_CASE("NoReFT and DiReFT leave the same file, so the user says which") {
  HubDraft draft("noreft-tied");
  draft.config["config"].erase("subtract_projection");
  const Error unsaid = draft.error();
  CHECK(unsaid.id() == "adapter.828");
  CHECK(test::says(unsaid, "\"subtract_projection\""));
  HubDraft orthonormal("loreft-untied");
  orthonormal.config["config"]["subtract_projection"] = false;
  CHECK(orthonormal.open().parts[0].policies == models::policies_of<adapters::DiReftOrthonormal<>>());
}

TEST_CASE("what is no ReFT of AdapterHub, or edits nothing, is refused") {
  HubDraft draft("loreft-untied");
  CHECK(draft.error_with("architecture", "lora").id() == "adapter.826");
  CHECK(draft.error_with("architecture", nullptr).id() == "adapter.826");
  CHECK(draft.error_with("r", 0).id() == "adapter.827");
  CHECK(draft.error_with("dropout", 1.5).id() == "adapter.827");
  CHECK(draft.error_with("prefix_positions", -1).id() == "adapter.827");
  CHECK(draft.error_with("output_reft", false).id() == "adapter.827");
  CHECK(draft.error_with("leave_out", {1}).id() == "adapter.827");
  draft.config["config"].erase("leave_out");
  draft.config["config"]["prefix_positions"] = 0;
  CHECK(draft.error_with("suffix_positions", 0).id() == "adapter.827");
  CHECK(draft.error_with("layers", "some").id() == "io.212");
  draft.config.erase("config");
  CHECK(draft.error().id() == "io.212");
}

TEST_CASE("missing, left over, misfitting and non-finite tensors of AdapterHub are errors that name them") {
  HubDraft missing("loreft-untied");
  missing.at("units.1.learned_source.bias").name += "es";
  CHECK(missing.error().id() == "adapter.820");
  CHECK(test::says(missing.error(), "units.1.learned_source.bias\" is missing"));
  HubDraft other_layer("loreft-untied");
  other_layer.config["config"]["layers"] = {0};
  CHECK(other_layer.error().id() == "adapter.820");
  CHECK(test::says(other_layer.error(), "layers.2"));
  HubDraft rank("loreft-untied");
  rank.config["config"]["r"] = 3;
  CHECK(rank.error().id() == "adapter.821");
  HubDraft square("loreft-untied");
  square.config["config"]["r"] = 4;
  for (io::TensorRef& tensor : square.tensors) {
    if (tensor.name.ends_with("learned_source.weight") || tensor.name.ends_with("original")) {
      tensor.shape = {4, 4};
      tensor.bytes = 4 * 4 * sizeof(float);
    }
  }
  CHECK(square.error().id() == "adapter.829");
  HubDraft nan("noreft-tied");
  const std::vector<float> numbers(48 * 48, std::numeric_limits<float>::quiet_NaN());
  nan.at("projection.weight").data = reinterpret_cast<const std::byte*>(numbers.data());
  CHECK(nan.error().id() == "model.513");
  HubDraft skewed("loreft-untied");  // a base that is not orthogonal
  skewed.at("0.base").data = reinterpret_cast<const std::byte*>(numbers.data());
  CHECK(skewed.error().id() == "model.513");
}

TEST_CASE("a head beside the adapter is passed over with a warning") {
  const test::TempFolder folder;
  const HubDraft draft("loreft-prefix");
  (void)folder.write("adapter_config.json", draft.config.dump());
  (void)folder.write("adapter.safetensors", test::slurp(draft.path + "/adapter.safetensors"));
  (void)folder.write("model_head.safetensors", "");
  const auto file = interchange::open_adapter(folder.path(), 3);
  REQUIRE(file.warnings.size() == 2);
  CHECK(file.warnings[1].find("model_head.safetensors") != std::string::npos);
}
