// SPDX-License-Identifier: Apache-2.0
// 05: three methods at once, each where it is wanted: LoReFT on the upper half of the stream, PMSS in the attention of all
// layers, LoRA in the feed-forward of the last. One optimizer, one file, no virtual call.
#include <graft/backends/gemm/onednn.hpp>
#include <graft/graft.hpp>

#include <cstdio>

using namespace graft;

using Backend = backends::Simd<backends::OneDnn>;
using Model = models::Llama<Uniform<float>, Backend>;

int main() {
  const Backend backend;
  const models::Checkpoint checkpoint = models::open_checkpoint("examples/models/village");
  Model model = Model::load(checkpoint);
  const text::Tokenizer tokenizer = models::load_tokenizer(checkpoint).value();
  const train::DatasetOptions as_text{.tokenizer = &tokenizer, .close = false};
  const train::Dataset data = train::load_dataset("examples/data/village/train.jsonl", as_text);
  const train::Choices questions = train::load_choices("examples/data/village/heldout.jsonl", as_text, {"yes", "no"});

  const Stack stack{
      At<site::residual, adapters::LoReft<>>{{.rank = 4}, {.layers = only_layers({2, 3}), .positions = ends(7, 7)}},
      At<site::query | site::value, adapters::Pmss<>>{{.rank = 16}},
      At<site::up | site::down, adapters::Lora<>>{{.rank = 2}, {.layers = only_layers({3})}}};
  auto tuned = attach(backend, model, stack, 1);
  Index count = 0;
  tuned.for_each_module([&](const auto& recipe, const Placement&, auto& grafted) {
    std::printf("%-34s %s, rank %td\n", grafted.place.name.c_str(), std::string(recipe.name).c_str(), recipe.rank);
    grafted.module.for_each_parameter([&](const char*, Parameter<float>& p) { count += p.size(); });
  });
  std::printf("%td numbers are trained\n", count);

  constexpr Index steps = 200;
  train::Trainer trainer{
      backend, model, tuned, optimizers::AdamW{}, schedules::Linear{}, {.rate = 3e-3, .total_steps = steps}};
  for (Index step = 0; step < steps; ++step) {
    trainer.step(train::batch_at(data.examples, step, 16));
  }
  const auto each = train::evaluate_each(backend, model, &tuned, questions.examples, 64);
  std::printf("after: %s\n",
              train::choose(questions, each).accuracy() > 0.9 ? "nine of ten answers are right" : "it guesses");
  models::save_adapter("build/village-stack", tuned, models::fingerprint_of(checkpoint), "village");
}
