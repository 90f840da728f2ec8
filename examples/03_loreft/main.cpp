// SPDX-License-Identifier: Apache-2.0
// 03: no weight changes at all. LoReFT edits four directions of the hidden state at the first and the last seven
// tokens of a prompt, in every layer; saved, and loaded again onto a fresh model.
#include <graft/backends/gemm/onednn.hpp>
#include <graft/graft.hpp>

#include <cstdio>

using namespace graft;

using Backend = backends::Simd<backends::OneDnn>;
using Model = models::Llama<Uniform<float>, Backend>;
using Tuned = Stack<At<site::residual, adapters::LoReft<4>>>;

int main() {
  const Backend backend;
  const models::Checkpoint checkpoint = models::open_checkpoint("examples/models/village");
  Model model = Model::load(checkpoint);
  const text::Tokenizer tokenizer = models::load_tokenizer(checkpoint).value();
  const train::Dataset data =
      train::load_dataset("examples/data/village/train.jsonl", {.tokenizer = &tokenizer, .close = false});

  auto tuned = attach<Tuned>(backend, model, {.positions = ends(7, 7)}, 1);
  std::printf("%td of %td numbers are trained\n", models::count_trainable(model.config, Tuned{}),
              models::parameter_count(model.config));
  constexpr Index steps = 200;
  train::Trainer trainer{
      backend, model, tuned, optimizers::AdamW{}, schedules::Linear{}, {.rate = 5e-3, .total_steps = steps}};
  for (Index step = 0; step < steps; ++step) {
    trainer.step(train::batch_at(data.examples, step, 16));
  }
  const models::Fingerprint base = models::fingerprint_of(checkpoint);
  models::save_adapter("build/village-loreft", tuned, base, "village");

  Model fresh = Model::load(checkpoint);
  auto loaded = models::load_adapter<Tuned>(backend, fresh, base,
                                            interchange::open_adapter("build/village-loreft", fresh.layer_count()));
  for (const char* question : {"There was a poem for Mia. The poem was far from boring. Did Mia like it?",
                               "There was a poem for Mia. Nobody found the poem charming. Did Mia like it?"}) {
    const std::vector<std::int32_t> ids = tokenizer.encode(question, true);
    const auto answer = train::generate(backend, fresh, &loaded, ids, {.most = 1, .stop = fresh.config.eos},
                                        [](std::int32_t) { return true; });
    std::printf("%s%s\n", question, tokenizer.decode(answer).c_str());
  }
}
