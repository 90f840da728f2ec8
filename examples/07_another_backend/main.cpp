// SPDX-License-Identifier: Apache-2.0
// 07: backend and precision are one word each. The same training on the reference in double, and on the vector kernels with
// one matrix product under them or another, and with weights in bf16.
#include <graft/backends/gemm/onednn.hpp>
#include <graft/graft.hpp>

#include <cmath>
#include <cstdio>

using namespace graft;

/// The loss after five steps of LoRA, everything else being equal.
template <precision P, class Backend>
double loss_after_training() {
  using Model = models::Llama<P, Backend>;
  using Tuned = Stack<At<site::query | site::value, adapters::Lora<4>>>;
  const Backend backend;
  const models::Checkpoint checkpoint = models::open_checkpoint("examples/models/village");
  Model model = Model::load(checkpoint);
  const text::Tokenizer tokenizer = models::load_tokenizer(checkpoint).value();
  const train::Dataset data =
      train::load_dataset("examples/data/village/train.jsonl", {.tokenizer = &tokenizer, .close = false});
  auto tuned = attach<Tuned>(backend, model, {}, 1);
  train::Trainer trainer{backend, model, tuned, optimizers::AdamW{}, schedules::Constant{}, {.rate = 2e-3}};
  const train::Batch batch = train::batch_at(data.examples, 0, 8);
  double loss = 0;
  for (int step = 0; step < 5; ++step) {
    loss = trainer.step(batch).loss;
  }
  return loss;
}

int main() {
  const double expected = loss_after_training<Uniform<double>, backends::Reference>();
  const auto compare = [&](const char* name, double loss) {
    const double difference = std::abs(loss / expected - 1);
    std::printf("%-20s %s\n", name,
                difference < 1e-4   ? "the loss of double precision to four digits"
                : difference < 2e-2 ? "the loss of double precision to two digits"
                                    : "another loss");
  };
  compare("Eigen's gemm, float", loss_after_training<Uniform<float>, backends::Simd<>>());
  compare("oneDNN's gemm, float", loss_after_training<Uniform<float>, backends::Simd<backends::OneDnn>>());
  compare("oneDNN's gemm, bf16", loss_after_training<Mixed<bf16, float>, backends::Simd<backends::OneDnn>>());
}
