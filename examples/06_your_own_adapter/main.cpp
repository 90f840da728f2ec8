// SPDX-License-Identifier: Apache-2.0
// An adapter that graft has never heard of (adapter.hpp) stands where the published ones stand: it trains, saves,
// loads and merges. Clone this folder to begin your own.
#include <graft/backends/gemm/onednn.hpp>
#include <graft/graft.hpp>

#include <cstdio>

#include "adapter.hpp"

using namespace graft;

using Backend = backends::Simd<backends::OneDnn>;
using Model = models::Llama<Uniform<float>, Backend>;
using Tuned = Stack<At<site::linear, example::OutputGain>>;

int main() {
  const Backend backend;
  const models::Checkpoint checkpoint = models::open_checkpoint("examples/models/village");
  Model model = Model::load(checkpoint);
  const text::Tokenizer tokenizer = models::load_tokenizer(checkpoint).value();
  const train::DatasetOptions as_text{.tokenizer = &tokenizer, .close = false};
  const train::Dataset data = train::load_dataset("examples/data/village/train.jsonl", as_text);
  const train::Choices questions = train::load_choices("examples/data/village/heldout.jsonl", as_text, {"yes", "no"});

  auto tuned = attach<Tuned>(backend, model, {}, 1);
  std::printf("%td of %td numbers are trained\n", models::count_trainable(model.config, Tuned{}),
              models::parameter_count(model.config));
  constexpr Index steps = 300;
  train::Trainer trainer{
      backend, model, tuned, optimizers::AdamW{}, schedules::Linear{}, {.rate = 2e-2, .total_steps = steps}};
  for (Index step = 0; step < steps; ++step) {
    trainer.step(train::batch_at(data.examples, step, 16));
  }
  const models::Fingerprint base = models::fingerprint_of(checkpoint);
  const std::string folder = "build/village-" + std::string(example::OutputGain::name);
  models::save_adapter(folder, tuned, base, "village");
  Model fresh = Model::load(checkpoint);
  auto loaded = models::load_adapter<Tuned>(backend, fresh, base, interchange::open_adapter(folder));
  const auto each = train::evaluate_each(backend, fresh, &loaded, questions.examples, 64);
  std::printf("after: %s\n",
              train::choose(questions, each).accuracy() > 0.9 ? "nine of ten answers are right" : "it guesses");
}
