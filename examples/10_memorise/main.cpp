// SPDX-License-Identifier: Apache-2.0
// 10: how much of a story fits into an edit? A LoReFT learns one text by heart, edited at the prompt's last token or at every
// token. The bits that the frozen model needs for the rest of the text say how much the edit holds.
#include <graft/backends/gemm/onednn.hpp>
#include <graft/graft.hpp>

#include <cmath>  // log
#include <cstdio>

using namespace graft;

using Backend = backends::Simd<backends::OneDnn>;
using Model = models::Llama<Uniform<float>, Backend>;
using Tuning = Attached<float, Stack<At<site::residual, adapters::LoReft<>>>>;

int main() {
  const Backend backend;
  const models::Checkpoint checkpoint = models::open_checkpoint("examples/models/village");
  Model model = Model::load(checkpoint);
  const text::Tokenizer tokenizer = models::load_tokenizer(checkpoint).value();
  const std::string prompt = "Ida had a pie.";
  train::Record record;
  record.prompt = prompt;
  record.completion = " The pie was first sweet and then burnt. Alas! The bell rang. Ida sighed.";
  const std::vector<train::Example> by_heart = {
      train::make_example(record, {.tokenizer = &tokenizer, .close = false}, "main.cpp")};

  std::printf("%s|%s\n", prompt.c_str(), record.completion.c_str());
  const auto report = [&](const char* where, Index rank, Tuning* tuned) {
    const train::Evaluation left = train::evaluate(backend, model, tuned, std::span(by_heart), 1);
    const auto recited = train::generate(backend, model, tuned, tokenizer.encode(prompt, true), {.most = left.tokens},
                                         [](std::int32_t) { return true; });
    std::printf("edited: %-26s rank %td, %2.0f bits left, %s\n", where, rank, left.nll / std::log(2.0),
                tokenizer.decode(recited) == record.completion ? "recites it" : "loses the thread");
  };
  report("nothing", 0, nullptr);
  for (const auto& [where, positions, rank] : {std::tuple{"the prompt's last token", ends(0, 1), Index{1}},
                                               {"the prompt's last token", ends(0, 1), Index{8}},
                                               {"four tokens of the prompt", ends(2, 2), Index{8}},
                                               {"every token", every_position, Index{1}}}) {
    Tuning tuned = attach(backend, model, Tuning::StackType{{{.rank = rank}, {.positions = positions}}}, 1);
    constexpr Index steps = 200;
    train::Trainer trainer{
        backend, model, tuned, optimizers::AdamW{}, schedules::Linear{}, {.rate = 5e-3, .total_steps = steps}};
    for (Index step = 0; step < steps; ++step) {
      trainer.step(train::batch_at(by_heart, 0, 1));
    }
    report(where, rank, &tuned);
  }
}
