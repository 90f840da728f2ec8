// SPDX-License-Identifier: Apache-2.0
#include <graft/interchange/control_vector.hpp>

#include <string>

#include "support/catch.hpp"
#include "support/gguf_builder.hpp"
#include "support/golden_adapter.hpp"

using namespace graft;

namespace {

using Constants = Stack<At<site::residual, adapters::LobiReft<>>>;

template <class AttachedType>
Tensor<double> steered_logits(const test::GoldenBase& base, AttachedType& attached) {
  const train::Batch batch = test::golden_batch(io::Safetensors::open(test::golden("models/llama-gqa/io.safetensors")));
  auto* member = &attached;
  models::LlamaRun<test::GoldenLlama, AttachedType> run;
  run.forward(test::reference, base.model, std::span(&member, 1), batch.ragged, batch.tokens, 1);
  Tensor<double> logits(batch.ragged.tokens(), base.model.config.vocab);
  run.logits(test::reference, base.model, test::every_row(batch.ragged.tokens()), logits.view());
  return logits;
}

template <class StackType>
auto random_constants(test::GoldenBase& base, StackType stack, const Layers& layers) {
  std::apply([&](auto&... at) { ((at.placement.layers = layers), ...); }, stack.parts);
  auto attached = attach(test::reference, base.model, stack, 1);
  attached.for_each_parameter([](const std::string& name, Parameter<double>& p) {
    if (name.ends_with(".b")) {
      test::reference.fill(0.25, p.value);
      p.value(0, 0) = -1;
    }
  });
  return attached;
}

Error steering_error(const test::GgufBuilder& builder) {
  const test::TempFolder folder;
  const std::string path = folder.write("a.gguf", builder.bytes());
  const auto config = models::open_checkpoint(test::golden("models/llama-gqa")).config;
  return test::error_of([&] { (void)interchange::open_control_vector(path, config); });
}

test::GgufBuilder direction(const std::string& name, Index width = 48, std::uint32_t type = 0) {
  test::GgufBuilder builder;
  builder.add("general.architecture", std::string("controlvector"));
  return builder.tensor(name, {width}, type, std::string(static_cast<std::size_t>(4 * width), '\0'));
}

}  // namespace

TEST_CASE("LobiReFT at all positions comes back from a control vector with its logits, as rank 1") {
  test::GoldenBase base("llama-gqa");
  const test::TempFolder folder;
  const std::string path = folder.path("a.gguf");
  auto attached = random_constants(base, Constants{}, only_layers({1, 2}));
  interchange::write_control_vector(path, attached, base.model);
  const auto file = interchange::open_control_vector(path, base.model.config);
  CHECK(file.parts.at(0).settings["rank"] == 1);
  auto loaded = models::load_adapter<Constants>(test::reference, base.model, base.fingerprint, file);
  CHECK(test::relative_error(steered_logits(base, loaded).view(), steered_logits(base, attached).view()) < 1e-6);
  const auto gguf = io::Gguf::open(path);
  CHECK(gguf.at<std::string_view>("controlvector.model_hint") == "llama");
  CHECK(gguf.at<std::int64_t>("controlvector.layer_count") == 2);
  CHECK(gguf.find("direction.1") != nullptr);
  CHECK(gguf.find("direction.2")->shape == std::vector<Index>{48});
}

TEST_CASE("constants at one block add up, and a free basis does as well") {
  test::GoldenBase base("llama-gqa");
  const test::TempFolder folder;
  using namespace adapters::policies;
  using FreeConstant = adapters::Subspace<dynamic, Free, Constant, Direct>;
  auto attached = random_constants(
      base, Stack{At<site::residual, adapters::LobiReft<>>{}, At<site::residual, FreeConstant>{{.rank = 2}, {}}},
      only_layers({2}));
  interchange::write_control_vector(folder.path("a.gguf"), attached, base.model);
  const auto file = interchange::open_control_vector(folder.path("a.gguf"), base.model.config);
  auto loaded = models::load_adapter<Constants>(test::reference, base.model, base.fingerprint, file);
  CHECK(test::relative_error(steered_logits(base, loaded).view(), steered_logits(base, attached).view()) < 1e-6);
}

TEST_CASE("everything else is refused with its reason, and nothing is written") {
  test::GoldenBase base("llama-gqa");
  const test::TempFolder folder;
  const auto error = [&](const auto& stack) {
    auto attached = attach(test::reference, base.model, stack, 1);
    return test::error_of([&] { interchange::write_control_vector(folder.path("a.gguf"), attached, base.model); });
  };
  const auto placed = [](auto at, const Layers& layers, const Positions& positions = every_position) {
    at.placement.layers = layers;
    at.placement.positions = positions;
    return Stack{at};
  };
  using Lobi = At<site::residual, adapters::LobiReft<>>;
  CHECK(test::says(error(placed(Lobi{}, every_layer)), "after the first block"));
  CHECK(test::says(error(placed(Lobi{}, only_layers({1}), ends(2, 2))), "every token"));
  CHECK(test::says(error(placed(At<site::attention, adapters::LobiReft<>>{}, only_layers({1}))), "residual stream"));
  CHECK(test::says(error(placed(At<site::residual, adapters::ConsReft<>>{}, only_layers({1}))), "add a constant"));
  CHECK(test::says(error(placed(At<site::query, adapters::Lora<>>{}, only_layers({1}))), "add a constant"));
  Lobi none;
  none.placement.sites = site::none;
  CHECK(error(Stack{none}).id() == "adapter.804");
  CHECK(folder.entries() == 0);
}

TEST_CASE("broken control vectors are refused by what is wrong with them") {
  CHECK(steering_error(direction("direction.2")).id() == "none");
  CHECK(test::says(steering_error(direction("direction.0")), "direction.1 to direction.2"));
  CHECK(steering_error(direction("direction.3")).id() == "adapter.805");
  CHECK(steering_error(direction("direction.1", 47)).id() == "adapter.805");
  CHECK(steering_error(direction("direction.01")).id() == "adapter.805");
  CHECK(steering_error(direction("direction.1", 48, 26)).id() == "adapter.805");  // I32
  CHECK(test::says(steering_error(test::GgufBuilder().add("general.architecture", std::string("llama"))), "\"llama\""));
  test::GgufBuilder infinite;
  infinite.add("general.architecture", std::string("controlvector"));
  std::string bytes(47 * 4, '\0');
  infinite.tensor("direction.1", {48}, 0, bytes + test::raw(std::numeric_limits<float>::infinity()));
  CHECK(steering_error(infinite).id() == "model.513");
}
