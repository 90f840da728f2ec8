// SPDX-License-Identifier: Apache-2.0
// 04: PMSS learns a small core between columns and rows that it picks from the pretrained weights themselves; merged, the
// result is a plain Hugging Face folder.
#include <graft/backends/gemm/onednn.hpp>
#include <graft/graft.hpp>

#include <cstdio>

using namespace graft;

using Backend = backends::Simd<backends::OneDnn>;
using Model = models::Llama<Uniform<float>, Backend>;
using Tuned = Stack<At<site::linear, adapters::Pmss<32>>>;

/// The share of held-out questions that are answered rightly, in words that do not depend on the machine's rounding.
template <class M, class AttachedType>
const char* grade(const Backend& backend, const M& model, AttachedType* adapter, const train::Choices& questions) {
  const auto each = train::evaluate_each(backend, model, adapter, questions.examples, 64);
  return train::choose(questions, each).accuracy() > 0.9 ? "nine of ten answers are right" : "it guesses";
}

int main() {
  const Backend backend;
  const models::Checkpoint checkpoint = models::open_checkpoint("examples/models/village");
  Model model = Model::load(checkpoint);
  const text::Tokenizer tokenizer = models::load_tokenizer(checkpoint).value();
  const train::DatasetOptions as_text{.tokenizer = &tokenizer, .close = false};
  const train::Dataset data = train::load_dataset("examples/data/village/train.jsonl", as_text);
  const train::Choices questions = train::load_choices("examples/data/village/heldout.jsonl", as_text, {"yes", "no"});

  auto tuned = attach<Tuned>(backend, model, {}, 1);
  const auto& first = std::get<0>(tuned.parts).modules.front();
  std::printf("%td modules; %s is spanned by its columns %d, %d, %d, ... and rows %d, %d, %d, ...\n",
              std::ssize(std::get<0>(tuned.parts).modules), first.place.name.c_str(),
              first.module.skeleton().columns[0], first.module.skeleton().columns[1],
              first.module.skeleton().columns[2], first.module.skeleton().rows[0], first.module.skeleton().rows[1],
              first.module.skeleton().rows[2]);
  std::printf("before: %s\n", grade(backend, model, &tuned, questions));
  constexpr Index steps = 200;
  train::Trainer trainer{
      backend, model, tuned, optimizers::AdamW{}, schedules::Linear{}, {.rate = 2e-3, .total_steps = steps}};
  for (Index step = 0; step < steps; ++step) {
    trainer.step(train::batch_at(data.examples, step, 16));
  }
  std::printf("after: %s\n", grade(backend, model, &tuned, questions));

  models::write_merged<bf16>("build/village-merged", checkpoint, backend, tuned);
  const Model merged = Model::load(models::open_checkpoint("build/village-merged"));
  std::printf("merged: %s\n", grade<Model, decltype(tuned)>(backend, merged, nullptr, questions));
}
