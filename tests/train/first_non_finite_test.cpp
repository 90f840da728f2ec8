// SPDX-License-Identifier: Apache-2.0
#include <graft/train/first_non_finite.hpp>

#include <limits>

#include <graft/adapters/lora.hpp>
#include <graft/models/attach.hpp>
#include <graft/optimizers/sgd.hpp>
#include <graft/schedules/constant.hpp>
#include <graft/train/trainer.hpp>

#include "support/catch.hpp"
#include "support/tiny_llama.hpp"

using namespace graft;

namespace {

/// A tiny model with LoRA everywhere, whose numbers a test may spoil.
struct SpoiledRun {
  using Model = models::Llama<Uniform<double>, backends::Reference>;
  using Recipe = Stack<At<site::linear, adapters::Lora<2>>>;

  backends::Reference be;
  Model model = test::tiny_llama<Uniform<double>, backends::Reference>(test::small_config(), 1);
  Attached<double, Recipe> tuned = attach(be, model, Recipe{}, 4);
  train::Trainer<Model, Attached<double, Recipe>, optimizers::Sgd, schedules::Constant> trainer{
      be, model, tuned, {}, {}, {.rate = 0.1, .spike = 2}};
  train::Batch batch = test::tiny_batch(test::small_config(), {{9, 5}, {7, 4}}, 3);

  [[nodiscard]] Parameter<double>& parameter(const std::string& wanted) {
    Parameter<double>* found = nullptr;
    tuned.for_each_parameter(
        [&](const std::string& name, Parameter<double>& p) { found = name == wanted ? &p : found; });
    return *found;
  }
  [[nodiscard]] std::vector<double> values() {
    std::vector<double> all;
    tuned.for_each_parameter([&](const std::string&, Parameter<double>& p) {
      all.insert(all.end(), p.value.data, p.value.data + p.size());
    });
    return all;
  }
  [[nodiscard]] std::string blame() { return trainer.first_non_finite(std::span(&batch, 1)); }
};

constexpr double huge = 1e200;

}  // namespace

TEST_CASE("a step on finite numbers has nothing to name") {
  SpoiledRun run;
  CHECK(run.blame().empty());
}

TEST_CASE("the first thing that is not finite is named: parameter, embedding, hidden state, logits") {
  const auto spoiled = [](auto spoil) {
    SpoiledRun run;
    spoil(run);
    const auto before = run.values();
    CHECK(run.trainer.step(run.batch).verdict == train::Verdict::not_finite);
    CHECK(run.trainer.steps() == 0);
    CHECK(std::equal(before.begin(), before.end(), run.values().begin(),
                     [](double a, double b) { return a == b || (a != a && b != b); }));
    return run.blame();
  };
  CHECK(spoiled([](SpoiledRun& run) {
          run.parameter("model.layers.1.mlp.up_proj.lora.lora_A.weight").value(0, 0) =
              std::numeric_limits<double>::quiet_NaN();
        }) == "the parameter model.layers.1.mlp.up_proj.lora.lora_A.weight");
  CHECK(spoiled([](SpoiledRun& run) { run.model.config.embedding_scale = 1e308 * 1e10; }) == "the embedded tokens");
  CHECK(spoiled([](SpoiledRun& run) {
          for (const char* factor : {"A", "B"}) {
            auto& p = run.parameter(std::string("model.layers.1.mlp.down_proj.lora.lora_") + factor + ".weight");
            run.be.fill(huge, p.value);
          }
        }) == "the hidden state after block 1");
  CHECK(spoiled([](SpoiledRun& run) { run.model.final_norm(0, 0) = 1e308; }) == "the logits");
}

TEST_CASE("a gradient that overflows where the forward does not is named by its parameter") {
  SpoiledRun run;
  run.be.fill(0, run.parameter("model.layers.2.self_attn.v_proj.lora.lora_A.weight").value);
  run.be.fill(1e308,
              run.parameter("model.layers.2.self_attn.v_proj.lora.lora_B.weight").value);  // B A = 0, but dA = B'...
  CHECK(run.trainer.step(run.batch).verdict == train::Verdict::not_finite);
  CHECK(run.blame() == "the gradient of model.layers.2.self_attn.v_proj.lora.lora_A.weight");
}
