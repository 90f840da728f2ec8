// SPDX-License-Identifier: Apache-2.0
// 02: teaches the model to answer with a LoRA on the query and value maps, and saves it as PEFT reads it.
#include <graft/backends/gemm/onednn.hpp>
#include <graft/graft.hpp>

#include <cstdio>

using namespace graft;

using Backend = backends::Simd<backends::OneDnn>;
using Model = models::Llama<Uniform<float>, Backend>;
using Tuned = Stack<At<site::query | site::value, adapters::Lora<4>>>;

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
  const auto report = [&](const char* when) {
    const auto each = train::evaluate_each(backend, model, &tuned, questions.examples, 64);
    std::printf("%s: %s\n", when,
                train::choose(questions, each).accuracy() > 0.9 ? "nine of ten answers are right" : "it guesses");
  };
  report("before");

  constexpr Index steps = 200;
  train::Trainer trainer{
      backend, model, tuned, optimizers::AdamW{}, schedules::Linear{}, {.rate = 3e-3, .total_steps = steps}};
  for (Index step = 0; step < steps; ++step) {
    trainer.step(train::batch_at(data.examples, step, 16));
  }
  report("after");
  interchange::write_peft_lora("build/village-lora", tuned, model, "village");
}
