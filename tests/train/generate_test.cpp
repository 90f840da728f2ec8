// SPDX-License-Identifier: Apache-2.0
#include <graft/train/generate.hpp>

#include <graft/adapters/lora.hpp>
#include <graft/adapters/subspace.hpp>

#include <array>

#include "support/catch.hpp"
#include "support/files.hpp"
#include "support/golden_model.hpp"

using namespace graft;

namespace {

using Ids = std::vector<std::int32_t>;
using Model = models::Llama<Uniform<double>, backends::Reference>;
using RandomLoReft = adapters::LoReft<2, adapters::policies::RandomStart>;
using Tuned = Attached<double, Stack<At<site::linear, adapters::Lora<2>>, At<site::residual, RandomLoReft>>>;

const auto go_on = [](std::int32_t) { return true; };

Model golden_model() {
  return Model::load(models::open_checkpoint(test::golden("models/llama-gqa")));
}

Ids golden_text() {
  const auto io = io::Safetensors::open(test::golden("models/llama-gqa/io.safetensors"));
  const auto ids = io::read_integers(io.at("generated"));
  return {ids.begin(), ids.end()};
}

/// LoRA whose B is not zero, and a subspace edit of the first and last two tokens of the prompt.
Tuned tuned(const backends::Reference& be, Model& model, Positions positions) {
  Tuned::StackType stack;
  std::get<1>(stack.parts).placement.positions = positions;
  Tuned attached = attach(be, model, stack, 5);
  attached.for_each_parameter([](const std::string& name, Parameter<double>& p) {
    p.value(0, 0) += name.find("lora_B") != std::string::npos ? 0.7 : 0;
  });
  return attached;
}

/// Every token from a forward over all that precedes it.
Ids uncached(const backends::Reference& be, const Model& model, Tuned* attached, const Ids& prompt, Index count,
             const train::Sampling& sampling) {
  models::LlamaRun<Model, Tuned> run;
  Ids all = prompt;
  Tensor<double> logits(1, model.config.vocab);
  for (Index step = 0; step < count; ++step) {
    Ragged batch;
    batch.push(std::ssize(all), std::ssize(prompt));
    run.forward(be, model, std::span<Tuned* const>(&attached, 1), batch, all, 1);
    const Index last[] = {batch.tokens() - 1};
    run.logits(be, model, last, logits.view());
    all.push_back(
        train::sample(std::span<const double>(logits.data(), static_cast<std::size_t>(logits.cols())), sampling, step));
  }
  return {all.begin() + std::ssize(prompt), all.end()};
}

}  // namespace

TEST_CASE("greedy generation with a store writes the golden text") {
  const backends::Reference be;
  const Model model = golden_model();
  const Ids golden = golden_text();
  const std::span<const std::int32_t> prompt(golden.data(), 5);
  Ids told;
  const Ids found = train::generate<Model, Tuned>(be, model, nullptr, prompt, {.most = 20}, [&](std::int32_t id) {
    told.push_back(id);
    return true;
  });
  CHECK(found == Ids(golden.begin() + 5, golden.end()));
  CHECK(told == found);
}

TEST_CASE("cached generation equals uncached, with edits of the prompt, edits of every row, and drawn tokens") {
  const backends::Reference be;
  Model model = golden_model();
  const Ids prompt = {7, 30, 101, 64, 5, 9};
  const Ids bare = train::generate<Model, Tuned>(be, model, nullptr, prompt, {.most = 12}, go_on);
  for (const Positions positions : {ends(2, 2), ends(0, 1), every_position}) {
    Tuned attached = tuned(be, model, positions);
    for (const double temperature : {0.0, 1.0}) {
      const train::Sampling sampling{temperature, 0.9, 11};
      const Ids found = train::generate(be, model, &attached, prompt, {.most = 12, .sampling = sampling}, go_on);
      CHECK(found == uncached(be, model, &attached, prompt, 12, sampling));
      CHECK(found != bare);
    }
  }
}

TEST_CASE("several prompts together give what each gives alone, however long they are and whenever they end") {
  const backends::Reference be;
  Model model = golden_model();
  model.config.context = 24;
  const std::vector<Ids> prompts = {{7, 30, 101, 64, 5, 9}, {3}, {8, 8, 2, 60, 44, 12, 90, 31, 5, 17, 4}, {64, 5}};
  for (const bool bare : {true, false}) {
    Tuned attached = tuned(be, model, ends(1, 2));
    Tuned* const adapter = bare ? nullptr : &attached;
    for (const double temperature : {0.0, 1.0}) {
      train::GenerateOptions options{.most = 15, .sampling = {temperature, 0.9, 4}};
      std::vector<Ids> alone;
      for (const Ids& prompt : prompts) {
        alone.push_back(train::generate(be, model, adapter, prompt, options, go_on));
      }
      CHECK(alone[0].size() == 15);
      CHECK(alone[2].size() == 13);  // the window ends it
      options.stop = {alone[0][4]};
      for (std::size_t i = 0; i < prompts.size(); ++i) {
        alone[i] = train::generate(be, model, adapter, prompts[i], options, [&](std::int32_t) { return i != 1; });
      }
      CHECK(alone[1].size() == 1);  // its listener ends it
      std::vector<Ids> told(prompts.size());
      const auto together = train::generate_batch(be, model, adapter, std::span<const Ids>(prompts), options,
                                                  [&](Index i, std::int32_t id) {
                                                    told[static_cast<std::size_t>(i)].push_back(id);
                                                    return i != 1;
                                                  });
      CHECK(together == alone);
      CHECK(told == alone);
    }
  }
}

TEST_CASE("a stop id ends the text and is part of it; a listener ends it too") {
  const backends::Reference be;
  const Model model = golden_model();
  const Ids golden = golden_text();
  const std::span<const std::int32_t> prompt(golden.data(), 5);
  const std::int32_t stop = golden[9];
  const auto first = std::find(golden.begin() + 5, golden.end(), stop);
  CHECK(train::generate<Model, Tuned>(be, model, nullptr, prompt, {.most = 20, .stop = {stop}}, go_on) ==
        Ids(golden.begin() + 5, first + 1));
  CHECK(train::generate<Model, Tuned>(be, model, nullptr, prompt, {.most = 20}, [](std::int32_t) { return false; }) ==
        Ids{golden[5]});
}

TEST_CASE("a text ends with the window, and a prompt that fills it is refused") {
  const backends::Reference be;
  Model model = golden_model();
  model.config.context = 8;
  const Ids prompt = {7, 30, 101, 64, 5, 9};
  CHECK(train::generate<Model, Tuned>(be, model, nullptr, prompt, {.most = 20}, go_on).size() == 2);
  for (const Ids& bad : {Ids{}, Ids{1, 2, 3, 4, 5, 6, 7, 8}}) {
    const Error error =
        test::error_of([&] { (void)train::generate<Model, Tuned>(be, model, nullptr, bad, {.most = 20}, go_on); });
    CHECK(error.id() == "train.440");
    CHECK_THAT(error.what(), test::contains("expected 1 to 7"));
  }
}

TEST_CASE("at temperature 0 the likeliest token is taken, the first of equals") {
  const std::array<float, 4> logits = {1, 3, 3, -2};
  CHECK(train::sample(std::span<const float>(logits), {}, 0) == 1);
}

TEST_CASE("tokens are drawn as often as softmax says, from the nucleus only, by seed and step alone") {
  const std::array<double, 4> logits = {std::log(4.0), std::log(3.0), std::log(2.0), std::log(1.0)};
  const std::span<const double> row(logits);
  constexpr Index draws = 20000;
  const auto shares = [&](const train::Sampling& sampling) {
    std::array<double, 4> counts{};
    for (Index step = 0; step < draws; ++step) {
      counts[static_cast<std::size_t>(train::sample(row, sampling, step))] += 1.0 / draws;
    }
    return counts;
  };
  const double deviation = 4 * std::sqrt(0.25 / draws);  // four standard deviations of a share, at most
  const auto all = shares({1, 1, 3});
  for (std::size_t i = 0; i < 4; ++i) {
    CHECK(std::abs(all[i] - 0.1 * static_cast<double>(4 - i)) < deviation);
  }
  const auto cut = shares({1, 0.65, 3});
  CHECK(std::abs(cut[0] - 4.0 / 7) < deviation);
  CHECK(cut[2] + cut[3] == 0);
  const auto hot = shares({0.5, 1, 3});
  CHECK(std::abs(hot[0] - 16.0 / 30) < deviation);
  CHECK(train::sample(row, {1, 1, 3}, 5) == train::sample(row, {1, 1, 3}, 5));
  CHECK(shares({1, 1, 4})[0] != all[0]);
}
