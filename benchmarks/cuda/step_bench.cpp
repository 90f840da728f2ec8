// SPDX-License-Identifier: Apache-2.0
// Steps on a CUDA device in bf16: tokens/s, the share of the rate that the frozen products reach alone in the same process, and
// what an adapter costs over a frozen forward and backward; decoding beside the rate of reading memory; what a graph saves. GRAFT_BENCH_MODEL: smollm2 (the default), 1.1b or 8b.
#include <benchmark/benchmark.h>

#include <graft/backends/cuda.hpp>

#include "../support/step.hpp"

using namespace graft;

namespace {

using P = bench::Half16;
using B = backends::Cuda;

const B& device() {
  static const B be = [] {
    B made;
    made.rounds = true;
    return made;
  }();
  return be;
}
auto& model() {
  (void)device();  // before the first tensor of the model
  return bench::model_in_use<P, B>();
}
/// `sequences` of `tokens` each.
train::Batch batch_of(const benchmark::State& state) {
  const std::vector<Index> lengths(static_cast<std::size_t>(state.range(0)), state.range(1));
  return bench::batch_of(lengths, model().config.vocab);
}

void frozen(benchmark::State& state) {
  const train::Batch batch = batch_of(state);
  bench::FrozenStep step(device(), model(), batch, true);
  bench::measure(state, [&] { step(); }, device(), model(), batch, 2);
}
void train_with(benchmark::State& state, const bench::Tuned& stack) {
  const train::Batch batch = batch_of(state);
  bench::Tuning tuned = attach(device(), model(), stack, 1);
  train::Trainer trainer(device(), model(), tuned, optimizers::AdamW{}, schedules::Constant{}, {.rate = 1e-5});
  bench::FrozenStep frozen_step(device(), model(), batch, true);
  bench::measure(
      state, [&] { benchmark::DoNotOptimize(trainer.step(batch).loss); }, device(), model(), batch, 2,
      [&] { frozen_step(); });
  state.counters["arena_MB"] = static_cast<double>(trainer.arena().peak()) / 1e6;
  state.counters["peak_so_far_MB"] = static_cast<double>(backends::cuda::Queue::peak_bytes()) / 1e6;
}
void lora(benchmark::State& state) {
  train_with(state, bench::lora_stack(16));
}
void loreft(benchmark::State& state) {
  train_with(state, bench::loreft_stack());
}
/// Random skeletons: choosing them is not what is measured.
void pmss(benchmark::State& state) {
  train_with(state, bench::random_pmss_stack(256));
}

/// LoRA's step and decoding as a graph (1), or call by call (0).
void lora_by_graph(benchmark::State& state) {
  device().queue().set_replay(state.range(2) == 1);
  lora(state);
  device().queue().set_replay(true);
}
void decode(benchmark::State& state) {
  static const double roof = bench::read_rate(device(), Tensor<float>(1 << 18, 4096).view());  // 4 GiB
  device().queue().set_replay(state.range(0) == 1);
  bench::measure_decoding(state, device(), model(), roof);
  device().queue().set_replay(true);
}

void shapes(benchmark::internal::Benchmark* row) {
  row->Args({8, 1024})->Args({2, 4096})->UseManualTime()->Iterations(7)->Unit(benchmark::kMillisecond);
}
BENCHMARK(frozen)->Apply(shapes);
BENCHMARK(lora)->Apply(shapes);
BENCHMARK(loreft)->Apply(shapes);
BENCHMARK(pmss)->Apply(shapes);
BENCHMARK(lora_by_graph)->Args({1, 256, 0})->Args({1, 256, 1})->UseManualTime()->Iterations(7)->Unit(benchmark::kMillisecond);
BENCHMARK(decode)->Arg(0)->Arg(1)->UseRealTime()->Iterations(3)->Unit(benchmark::kMillisecond);

}  // namespace
