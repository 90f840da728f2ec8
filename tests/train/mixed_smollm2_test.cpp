// SPDX-License-Identifier: Apache-2.0
// Weights and kept activations in bf16 beside fp32 sums, against fp32 throughout: the same 200 steps of LoRA on SmolLM2.
#include <cmath>
#include <cstdio>

#include <graft/optimizers/adamw.hpp>
#include <graft/schedules/linear.hpp>
#include <graft/train/trainer.hpp>

#include "support/catch.hpp"
#include "support/golden_model.hpp"
#include "train/real_model.hpp"

using namespace graft;

namespace {

using OnlyLora = Stack<At<site::linear, adapters::Lora<>>>;

train::Batch one_dialogue(const std::vector<io::Json>& rows, std::size_t number) {
  train::Example example;
  example.ids = rows[number]["ids"].get<std::vector<std::int32_t>>();
  example.prompt = rows[number]["prompt"].get<Index>();
  example.labels = example.ids;
  std::fill_n(example.labels.begin(), example.prompt, train::ignored);
  train::Batch batch;
  batch.push(example);
  return batch;
}

/// What a run leaves: the loss of every step, and what training has added to the logits of held-out text.
struct Tuned {
  std::vector<double> losses;
  Tensor<float> edit;
};

template <class P>
Tuned tuned_in() {
  using Model = models::Llama<P, test::RealBackend>;
  const test::RealBackend be;
  Model model = Model::load(models::open_checkpoint(test::smollm2()));
  auto attached = attach(be, model, OnlyLora{{{.rank = 8}}}, 1);
  const std::vector<io::Json> data = test::real_golden_rows("train.jsonl");
  const train::Batch held_out = one_dialogue(test::real_golden_rows("heldout.jsonl"), 0);
  models::LlamaRun<Model, Attached<float, OnlyLora>> run;
  const auto logits = [&] {
    auto* const member = &attached;
    run.forward(be, model, std::span(&member, 1), held_out.ragged, held_out.tokens, held_out.labelled());
    Tensor<float> all(held_out.labelled(), model.config.vocab);
    run.logits(be, model, held_out.rows, all.view());
    return all;
  };
  Tensor<float> before = logits();
  train::Trainer trainer(be, model, attached, optimizers::AdamW{}, schedules::Linear{},
                         {.rate = 2e-4, .total_steps = 200});
  Tuned tuned;
  for (std::size_t step = 0; step < 200; ++step) {
    tuned.losses.push_back(trainer.step(one_dialogue(data, step % data.size())).loss);
  }
  tuned.edit = logits();
  be.add(-1, before.view(), tuned.edit.view());
  return tuned;
}

}  // namespace

TEST_CASE("200 steps in bf16 follow fp32's loss within 2 %, and what they add to the logits within 10 %",
          "[real][shared]") {
  const Tuned exact = tuned_in<Uniform<float>>();
  const Tuned mixed = tuned_in<Mixed<bf16, float>>();
  double worst = 0;
  for (std::size_t i = 0; i < exact.losses.size(); ++i) {
    worst = std::max(worst, std::abs(mixed.losses[i] / exact.losses[i] - 1));
  }
  const double edits = test::relative_norm_error(mixed.edit.view(), exact.edit.view());
  std::printf("bf16 against fp32: losses %.3f to %.3f, worst step %.2f %%, what is added to the logits %.1f %% apart\n",
              exact.losses.front(), exact.losses.back(), 100 * worst, 100 * edits);
  CHECK(worst < 0.02);
  CHECK(edits < 0.10);
}
