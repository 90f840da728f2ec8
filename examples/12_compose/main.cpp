// SPDX-License-Identifier: Apache-2.0
// 12: two skills in disjoint subspaces of one LoReFT, trained apart: four rows of R answer questions, two speak in a voice. A
// sequence carries the rows that it asks for, and both together do both.
#include <graft/backends/gemm/onednn.hpp>
#include <graft/graft.hpp>

#include <cstdio>

#include "../village/voice.hpp"

using namespace graft;

using Backend = backends::Simd<backends::OneDnn>;
using Model = models::Llama<Uniform<float>, Backend>;
using Tuned = Stack<At<site::residual, adapters::LoReft<6>>>;

int main() {
  constexpr std::uint64_t answers = 0b001111, voice = 0b110000;  // rows of R
  const Backend backend;
  const models::Checkpoint checkpoint = models::open_checkpoint("examples/models/village");
  Model model = Model::load(checkpoint);
  const text::Tokenizer tokenizer = models::load_tokenizer(checkpoint).value();
  const train::DatasetOptions as_text{.tokenizer = &tokenizer, .close = false};
  const train::Dataset questions = train::load_dataset("examples/data/village/train.jsonl", as_text);
  const std::vector<train::Example> stories = village::stories_in_voice(as_text, ", they said.");

  auto tuned = attach<Tuned>(backend, model, {.layers = only_layers({2, 3})}, 1);
  constexpr Index steps = 160, size = 8;
  train::Trainer trainer{
      backend, model, tuned, optimizers::AdamW{}, schedules::Linear{}, {.rate = 5e-3, .total_steps = steps}};
  for (Index step = 0; step < steps; ++step) {  // a step of questions, a step of stories: no sequence carries both
    const bool asks = step % 2 == 0;
    train::Batch batch = train::batch_at(asks ? questions.examples : stories, step / 2, size);
    batch.ragged.subspace.assign(size, asks ? answers : voice);
    trainer.step(batch);
  }

  train::Choices heldout = train::load_choices("examples/data/village/heldout.jsonl", as_text, {"yes", "no"});
  const std::string question = "There was a poem for Mia. The poem was far from boring. Did Mia like it?";
  for (const auto& [name, rows] :
       {std::pair{"none", std::uint64_t{0}}, {"answers", answers}, {"voice", voice}, {"both", answers | voice}}) {
    for (train::Example& example : heldout.examples) {
      example.subspace = rows;
    }
    const auto each = train::evaluate_each(backend, model, &tuned, heldout.examples, 64);
    const auto said = train::generate(backend, model, &tuned, tokenizer.encode(question, true),
                                      {.most = 5, .subspace = rows}, [](std::int32_t) { return true; });
    std::printf("%-8s %-29s Did Mia like it?|%s\n", name,
                train::choose(heldout, each).accuracy() > 0.9 ? "nine of ten answers are right" : "it guesses",
                tokenizer.decode(said).c_str());
  }
}
