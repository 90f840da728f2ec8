// SPDX-License-Identifier: Apache-2.0
// Steps on SmolLM2's shape: tokens/s, the flops of their frozen products a second, and the share of the rate that the same
// products reach alone, in the same process, on the same threads. GRAFT_BENCH_MODEL names another model (support/step.hpp).
#include <benchmark/benchmark.h>

#include "../support/step.hpp"

using namespace graft;

namespace {

using bench::Full32;
using bench::Half16;
using bench::Tuning;

template <precision P>
const bench::Quickest backend_in_use = bench::quickest_for<P>();

template <precision P>
auto& model() {
  return bench::model_in_use<P, bench::Quickest>();
}

template <precision P>
train::Batch real_batch() {
  return bench::batch_of(bench::real_lengths, model<P>().config.vocab);
}

template <precision P, bool back>
void frozen(benchmark::State& state) {
  const train::Batch batch = real_batch<P>();
  bench::FrozenStep step(backend_in_use<P>, model<P>(), batch, back);
  bench::measure(state, [&] { step(); }, backend_in_use<P>, model<P>(), batch, back ? 2 : 1);
  state.counters["arena_MB"] = static_cast<double>(step.arena_bytes()) / 1e6;
}

template <precision P>
void train_with(benchmark::State& state, const bench::Tuned& stack, const train::Batch& batch,
                bool beside_frozen = true, bool recompute = false) {
  Tuning tuned = attach(backend_in_use<P>, model<P>(), stack, 1);
  train::Trainer trainer(backend_in_use<P>, model<P>(), tuned, optimizers::AdamW{}, schedules::Constant{},
                         {.rate = 1e-5, .recompute = recompute});
  bench::FrozenStep frozen_step(backend_in_use<P>, model<P>(), batch, true);
  const std::function<void()> beside = [&] { frozen_step(); };
  bench::measure(
      state, [&] { benchmark::DoNotOptimize(trainer.step(batch).loss); }, backend_in_use<P>, model<P>(), batch, 2,
      beside_frozen ? beside : nullptr);
  state.counters["arena_MB"] = static_cast<double>(trainer.arena().peak()) / 1e6;
}

template <precision P>
void lora(benchmark::State& state) {
  train_with<P>(state, bench::lora_stack(state.range(0)), real_batch<P>());
}
template <precision P>
void pmss(benchmark::State& state) {
  train_with<P>(state, bench::pmss_stack(state.range(0)), real_batch<P>());
}
template <precision P>
void loreft(benchmark::State& state) {
  train_with<P>(state, bench::loreft_stack(), real_batch<P>());
}
/// LoRA r 8 on one sequence of that many tokens; with 1, blocks are computed again on the way back.
template <precision P>
void length(benchmark::State& state) {
  const Index lengths[] = {state.range(0)};
  train_with<P>(state, bench::lora_stack(8), bench::batch_of(lengths, model<P>().config.vocab), false,
                state.range(1) == 1);
}
/// LoRA r 8 on so many sequences of 256 tokens.
template <precision P>
void batch(benchmark::State& state) {
  const std::vector<Index> lengths(static_cast<std::size_t>(state.range(0)), 256);
  train_with<P>(state, bench::lora_stack(8), bench::batch_of(lengths, model<P>().config.vocab), false);
}

template <precision P>
void decode(benchmark::State& state) {
  bench::measure_decoding(state, backend_in_use<P>, model<P>(), bench::read_roof());
}

/// The dry pass alone: what it costs to know every byte before the first step.
void layout(benchmark::State& state) {
  const train::Batch batch = real_batch<Full32>();
  Tuning tuned = attach(backend_in_use<Full32>, model<Full32>(), bench::lora_stack(8), 1);
  Tuning* const bank[] = {&tuned};
  models::LlamaRun<models::Llama<Full32, bench::Quickest>, Tuning> run;
  for ([[maybe_unused]] auto _ : state) {
    run.measure(backend_in_use<Full32>, model<Full32>(), bank, batch.ragged, batch.labelled(), {.keep = true});
  }
  state.counters["forecast_MB"] = static_cast<double>(run.arena().peak()) / 1e6;
}

/// A forward in which every sequence goes through another LoRA of a bank of four (1), or all through one (0).
void forward_by_id(benchmark::State& state) {
  train::Batch batch = real_batch<Full32>();
  std::vector<Tuning> adapters;
  for (std::uint64_t seed = 0; seed < 4; ++seed) {
    adapters.push_back(attach(backend_in_use<Full32>, model<Full32>(), bench::lora_stack(8), seed));
  }
  Tuning* const bank[] = {&adapters[0], &adapters[1], &adapters[2], &adapters[3]};
  for (std::size_t i = 0; i < 4; ++i) {
    batch.ragged.adapter[i] = state.range(0) == 1 ? static_cast<Index>(i) + 1 : 1;
  }
  models::LlamaRun<models::Llama<Full32, bench::Quickest>, Tuning> run;
  for ([[maybe_unused]] auto _ : state) {
    run.forward(backend_in_use<Full32>, model<Full32>(), bank, batch.ragged, batch.tokens, batch.labelled());
    benchmark::DoNotOptimize(run.loss(backend_in_use<Full32>, model<Full32>(), batch.rows, batch.targets));
  }
  state.counters["tok/s"] =
      benchmark::Counter(static_cast<double>(state.iterations() * batch.ragged.tokens()), benchmark::Counter::kIsRate);
}

void few(benchmark::internal::Benchmark* row) {
  row->Unit(benchmark::kMillisecond)->UseManualTime()->Iterations(5);
}
void lengths(benchmark::internal::Benchmark* row) {
  row->ArgsProduct({{256, 512, 1024, 2048, 4096}, {0, 1}})
      ->Unit(benchmark::kMillisecond)
      ->UseManualTime()
      ->Iterations(1);
}

/// Every row of one precision.
template <precision P>
struct Rows {
  explicit Rows(const std::string& name) {
    const auto add = [&](const std::string& row, auto body) {
      return benchmark::RegisterBenchmark((row + "/" + name).c_str(), body);
    };
    add("frozen_forward", &frozen<P, false>)->Apply(few);
    add("frozen_both_ways", &frozen<P, true>)->Apply(few);
    add("lora", &lora<P>)->Arg(8)->Arg(16)->Arg(64)->Apply(few);
    add("pmss", &pmss<P>)->Arg(32)->Arg(64)->Arg(128)->Apply(few);
    add("loreft", &loreft<P>)->Arg(4)->Apply(few);
    add("length", &length<P>)->Apply(lengths);
    add("batch", &batch<P>)->Arg(1)->Arg(2)->Arg(4)->Arg(8)->Apply(few);
    add("decode", &decode<P>)->Unit(benchmark::kMillisecond)->UseRealTime()->Iterations(2);
  }
};
const Rows<Full32> full32("fp32");
const Rows<Half16> half16("bf16");
BENCHMARK(layout)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(forward_by_id)->Arg(0)->Arg(1)->Unit(benchmark::kMillisecond)->UseRealTime()->Iterations(5);

}  // namespace
