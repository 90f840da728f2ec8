// SPDX-License-Identifier: Apache-2.0
// 11: two voices for one model. Each is a LoReFT that has read the village's stories told in that voice; in one batch every
// sequence names the adapter that it goes through, or none.
#include <graft/backends/gemm/onednn.hpp>
#include <graft/graft.hpp>

#include <cstdio>

#include "../village/voice.hpp"

using namespace graft;

using Backend = backends::Simd<backends::OneDnn>;
using Model = models::Llama<Uniform<float>, Backend>;
using Voice = Attached<float, Stack<At<site::residual, adapters::LoReft<2>>>>;

/// Reads the stories in a voice until the adapter has it.
Voice learn(const Backend& backend, Model& model, const text::Tokenizer& tokenizer, const std::string& stop) {
  const std::vector<train::Example> stories = village::stories_in_voice({.tokenizer = &tokenizer}, stop);
  Voice voice = attach(backend, model, Voice::StackType{}, 1);
  constexpr Index steps = 60;
  train::Trainer trainer{
      backend, model, voice, optimizers::AdamW{}, schedules::Linear{}, {.rate = 1e-2, .total_steps = steps}};
  for (Index step = 0; step < steps; ++step) {
    trainer.step(train::batch_at(stories, step, 8));
  }
  return voice;
}

int main() {
  const Backend backend;
  const models::Checkpoint checkpoint = models::open_checkpoint("examples/models/village");
  Model model = Model::load(checkpoint);
  const text::Tokenizer tokenizer = models::load_tokenizer(checkpoint).value();
  Voice gossip = learn(backend, model, tokenizer, ", they said.");
  Voice excited = learn(backend, model, tokenizer, "!");

  Voice* const bank[] = {&gossip, &excited};
  const std::vector<Index> adapters = {0, 1, 2};  // the model as it is, and the bank's first and second
  const std::string prompt = "Mia got a cake. The cake was burnt. Mia";
  const std::vector<std::vector<std::int32_t>> prompts(3, tokenizer.encode(prompt, true));
  const auto written = train::generate_batch(
      backend, model, std::span<Voice* const>(bank), std::span<const Index>(adapters), std::span(prompts),
      {.most = 5, .stop = model.config.eos}, [](Index, std::int32_t) { return true; });
  for (const std::vector<std::int32_t>& ids : written) {
    std::printf("%s|%s\n", prompt.c_str(), tokenizer.decode(ids).c_str());
  }
}
