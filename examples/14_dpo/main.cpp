// SPDX-License-Identifier: Apache-2.0
// 14: direct preference optimization. The model tells two stories from every opening, a judge prefers the happier one, and a
// LoRA learns from the pairs. The reference model is the same model with the adapter switched off: nothing is held twice.
#include <graft/backends/gemm/onednn.hpp>
#include <graft/graft.hpp>

#include <cstdio>

using namespace graft;

using Backend = backends::Simd<backends::OneDnn>;
using Model = models::Llama<Uniform<float>, Backend>;
using Tuned = Attached<float, Stack<At<site::linear, adapters::Lora<4>>>>;
using Ids = std::vector<std::int32_t>;

/// The judge counts cries of joy less cries of grief.
int happiness(const std::string& story) {
  int sum = 0;
  for (const auto& [cry, worth] : {std::pair{"Hooray!", 1}, {"Alas!", -1}}) {
    for (std::size_t at = story.find(cry); at != std::string::npos; at = story.find(cry, at + 1)) {
      sum += worth;
    }
  }
  return sum;
}

/// An opening that is given, and a story that is trained.
train::Example example(const Ids& opening, const Ids& story) {
  train::Example all{opening, Ids(opening.size(), train::ignored), std::ssize(opening)};
  all.ids.insert(all.ids.end(), story.begin(), story.end());
  all.labels.insert(all.labels.end(), story.begin(), story.end());
  return all;
}

int main() {
  const Backend backend;
  const models::Checkpoint checkpoint = models::open_checkpoint("examples/models/village");
  Model model = Model::load(checkpoint);
  const text::Tokenizer tokenizer = models::load_tokenizer(checkpoint).value();
  const auto known = train::load_dataset("examples/data/village/stories.jsonl", {.tokenizer = &tokenizer}).examples;
  std::vector<Ids> openings;
  for (const train::Example& story : known) {
    openings.emplace_back(story.ids.begin(), story.ids.begin() + story.prompt);
  }
  const auto tell = [&](Tuned* tuned, std::uint64_t seed) {  // one story from every opening
    return train::generate_batch(backend, model, tuned, std::span<const Ids>(openings),
                                 {.most = 24, .sampling = {.temperature = 1, .seed = seed}, .stop = model.config.eos},
                                 [](Index, std::int32_t) { return true; });
  };
  const auto judge = [&](std::uint64_t seed) {
    const std::vector<Ids> one = tell(nullptr, seed), two = tell(nullptr, seed + 1);
    std::vector<train::Preference> pairs;
    for (std::size_t i = 0; i < openings.size(); ++i) {
      const int better = happiness(tokenizer.decode(one[i])) - happiness(tokenizer.decode(two[i]));
      if (better != 0) {
        pairs.push_back(
            {example(openings[i], better > 0 ? one[i] : two[i]), example(openings[i], better > 0 ? two[i] : one[i])});
      }
    }
    train::refer<Model, Tuned>(backend, model, nullptr, pairs, 64);  // with nothing attached
    return pairs;
  };
  const std::vector<train::Preference> unseen = judge(1);
  std::vector<train::Preference> pairs = judge(3);
  const std::vector<train::Preference> more = judge(5);
  pairs.insert(pairs.end(), more.begin(), more.end());

  Tuned tuned = attach(backend, model, Tuned::StackType{}, 1);
  const auto report = [&](const char* when) {
    Index sad = 0;
    for (const Ids& story : tell(&tuned, 7)) {
      sad += happiness(tokenizer.decode(story)) < 0 ? 1 : 0;
    }
    const auto score = train::evaluate(backend, model, &tuned, std::span(unseen), 0.5, 64);
    const auto village = train::evaluate(backend, model, &tuned, std::span(known), 64);
    std::printf("%s: %s; %s; %s\n", when,
                10 * sad > std::ssize(openings) ? "many stories are sad" : "hardly any is sad",
                score.accuracy() > 0.8 ? "four of five unseen pairs are told apart" : "unseen pairs are alike to it",
                village.loss() < 1.2 ? "it knows the village" : "it has forgotten the village");
  };
  report("before");
  constexpr Index steps = 60;
  const train::TrainerSettings settings{.rate = 2e-3, .total_steps = steps};
  train::Trainer trainer{
      backend, model, tuned, optimizers::AdamW{}, schedules::Linear{}, settings, train::Dpo{.beta = 0.5}};
  for (Index step = 0; step < steps; ++step) {
    trainer.step(train::batch_at(pairs, step, 8));
  }
  report("after");
}
