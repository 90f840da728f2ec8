// SPDX-License-Identifier: Apache-2.0
// A training step on SmolLM2's shape: tokens/s, the flops of its matrix products a second, and their share of the rate that
// the same products reach alone, in the same process, on the same threads. Random weights unless GRAFT_SMOLLM2 names the GGUF.
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <vector>

#include <graft/adapters/lora.hpp>
#include <graft/adapters/pmss.hpp>
#include <graft/adapters/subspace.hpp>
#include <graft/backends/simd.hpp>
#if __has_include(<oneapi/dnnl/dnnl.hpp>)
#include <graft/backends/gemm/onednn.hpp>
#else
#include <graft/backends/gemm/eigen.hpp>
#endif
#include <graft/models/attach.hpp>
#include <graft/models/open_checkpoint.hpp>
#include <graft/optimizers/adamw.hpp>
#include <graft/schedules/constant.hpp>
#include <graft/train/trainer.hpp>

#include "../support/random_checkpoint.hpp"

using namespace graft;

namespace {

#if __has_include(<oneapi/dnnl/dnnl.hpp>)
using Backend = backends::Simd<backends::OneDnn>;
#else
using Backend = backends::Simd<backends::EigenGemm>;
#endif
using Model = models::Llama<Uniform<float>, Backend>;

/// Trains nothing, deep down: what a step costs before any adapter.
struct Probe {
  static constexpr std::string_view name = "probe";
  template <scalar T>
  class Module {
   public:
    struct Cache {};
    template <class Visitor>
    void for_each_parameter(Visitor&&) {}
    [[nodiscard]] bool needs_input() const { return false; }
    [[nodiscard]] bool needs_output_gradient() const { return false; }
    void lay_out_kept(Cache&, Arena&, const Extent&) const {}
    void lay_out_scratch(Cache&, Arena&, const Extent&) const {}
    template <class B>
    void gradients(const B&, Cache&, RowRange, In<T>, In<T>) {}
    Module() = default;
    template <class B, class W>
    Module(const Probe&, const B&, const W&, const Place&, Random) {}
  };
};

const Backend& backend_in_use() {
  static const Backend be;
  return be;
}
Model& model_in_use() {
  static Model model = [] {
    const char* path = std::getenv("GRAFT_SMOLLM2");
    return Model::load(path != nullptr ? models::open_checkpoint(path)
                                       : bench::random_checkpoint(bench::smollm2_shape(), 1));
  }();
  return model;
}

/// One type for every method, as in the program: parts that are not asked for make no modules.
using Tuned = Stack<At<site::query, Probe>, At<site::linear, adapters::Lora<>>, At<site::linear, adapters::Pmss<>>,
                    At<site::residual, adapters::LoReft<4>>>;
using Tuning = Attached<float, Tuned>;

/// Part `Wanted` of the stack alone.
template <std::size_t Wanted>
Tuned only(const auto& adapter, Placement placement) {
  Tuned stack;
  std::apply([](auto&... at) { ((at.placement.sites = site::none), ...); }, stack.parts);
  std::get<Wanted>(stack.parts).adapter = adapter;
  std::get<Wanted>(stack.parts).placement = std::move(placement);
  return stack;
}

/// Four sequences as GSM8K's come: 0.87 of 4 x 256 tokens, 0.48 of them labelled; prompts first.
train::Batch real_batch(std::uint64_t seed) {
  train::Batch batch;
  const Index lengths[] = {256, 198, 237, 201};
  for (std::size_t s = 0; s < 4; ++s) {
    train::Example example;
    example.prompt = lengths[s] * 52 / 100;
    for (Index t = 0; t < lengths[s]; ++t) {
      example.ids.push_back(static_cast<std::int32_t>(Random(seed, s).below(
          static_cast<std::uint64_t>(t), static_cast<std::uint64_t>(model_in_use().config.vocab))));
      example.labels.push_back(t < example.prompt ? train::ignored : example.ids.back());
    }
    batch.push(example);
  }
  return batch;
}

/// Flops of the frozen products of a step: 2 N forward and 2 N back a token, the head on labelled rows only.
double product_flops(const train::Batch& batch) {
  const auto& c = model_in_use().config;
  const double block = static_cast<double>(c.dim * (2 * c.q_dim() + 2 * c.kv_dim() + 3 * c.ffn));
  return 4.0 * (static_cast<double>(batch.ragged.tokens()) * static_cast<double>(c.layers) * block +
                static_cast<double>(batch.labelled()) * static_cast<double>(c.vocab * c.dim));
}

/// The same products alone, in the same blocks: the roof.
double product_seconds(const train::Batch& batch) {
  const Backend& be = backend_in_use();
  const Model& model = model_in_use();
  const Index t = batch.ragged.tokens();
  const Index widest = std::max(model.config.ffn, model.config.dim);
  const Tensor<float> x(t, widest);
  Tensor<float> y(t, widest);
  Tensor<float> logits(models::LlamaRun<Model, Tuning>::head_rows, model.config.vocab);
  const auto both_ways = [&](const auto& weight, Block b, View<float> out) {
    const auto in = x.view().middle_rows(b.begin, b.rows).middle_cols(0, weight.cols());
    be.gemm_nt(1, in, weight, 0, out.middle_cols(0, weight.rows()));
    be.gemm_nn(1, out.middle_cols(0, weight.rows()), weight, 0,
               y.view().middle_rows(b.begin, b.rows).middle_cols(0, weight.cols()));
  };
  Tensor<float> z(t, widest);
  const auto begin = std::chrono::steady_clock::now();
  for (const auto& block : model.blocks) {
    be.for_each_block(t, [&](Block b) {
      for (Sites one = 1; one <= site::down; one <<= 1) {
        both_ways(block.linear(one).weight, b, z.view().middle_rows(b.begin, b.rows));
      }
    });
  }
  for (Index first = 0; first < batch.labelled(); first += logits.rows()) {
    be.for_each_block(std::min(logits.rows(), batch.labelled() - first),
                      [&](Block b) { both_ways(model.head(), b, logits.view().middle_rows(b.begin, b.rows)); });
  }
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

/// Reports tokens/s, GFLOP/s of the frozen products, and the share of their own rate (best of three, same process).
void report(benchmark::State& state, const train::Batch& batch, std::size_t arena_bytes) {
  double alone = product_seconds(batch);
  for (int repeat = 0; repeat < 4; ++repeat) {
    alone = std::min(alone, product_seconds(batch));
  }
  const auto steps = static_cast<double>(state.iterations());
  const double flops = product_flops(batch);
  using benchmark::Counter;
  state.counters["tok/s"] = Counter(steps * static_cast<double>(batch.ragged.tokens()), Counter::kIsRate);
  state.counters["GFLOP/s"] = Counter(steps * flops / 1e9, Counter::kIsRate);
  state.counters["gemm_GFLOP/s"] = flops / alone / 1e9;
  state.counters["share_of_gemm"] = Counter(steps * alone, Counter::kIsRate);
  state.counters["arena_MB"] = static_cast<double>(arena_bytes) / 1e6;
}

void frozen(benchmark::State& state) {
  const train::Batch batch = real_batch(1);
  Tuning probe = attach(backend_in_use(), model_in_use(), only<0>(Probe{}, {.layers = only_layers({0})}), 1);
  Tuning* const bank[] = {&probe};
  models::LlamaRun<Model, Tuning> run;
  for ([[maybe_unused]] auto _ : state) {
    run.forward(backend_in_use(), model_in_use(), bank, batch.ragged, batch.tokens, batch.labelled(), {.keep = true});
    benchmark::DoNotOptimize(run.loss(backend_in_use(), model_in_use(), batch.rows, batch.targets,
                                      1.0f / static_cast<float>(batch.labelled())));
    run.backward(backend_in_use(), model_in_use());
  }
  report(state, batch, run.arena().peak());
}

void train_with(benchmark::State& state, const Tuned& stack) {
  const train::Batch batch = real_batch(1);
  Tuning tuned = attach(backend_in_use(), model_in_use(), stack, 1);
  train::Trainer trainer(backend_in_use(), model_in_use(), tuned, optimizers::AdamW{}, schedules::Constant{},
                         {.rate = 1e-5});
  for ([[maybe_unused]] auto _ : state) {
    benchmark::DoNotOptimize(trainer.step(std::span(&batch, 1)).loss);
  }
  report(state, batch, trainer.arena().peak());
}

void lora_r8(benchmark::State& state) {
  train_with(state, only<1>(adapters::Lora<>{.rank = 8}, {}));
}
void pmss(benchmark::State& state) {
  train_with(state, only<2>(adapters::Pmss<>{.rank = state.range(0)}, {}));
}
void loreft_r4(benchmark::State& state) {
  train_with(state, only<3>(adapters::LoReft<4>{}, {.positions = ends(7, 7)}));
}

/// The dry pass alone: what it costs to know every byte before the first step.
void layout(benchmark::State& state) {
  const train::Batch batch = real_batch(1);
  Tuning tuned = attach(backend_in_use(), model_in_use(), only<1>(adapters::Lora<>{.rank = 8}, {}), 1);
  Tuning* const bank[] = {&tuned};
  models::LlamaRun<Model, Tuning> run;
  for ([[maybe_unused]] auto _ : state) {
    run.measure(backend_in_use(), model_in_use(), bank, batch.ragged, batch.labelled(), true);
  }
  state.counters["forecast_MB"] = static_cast<double>(run.arena().peak()) / 1e6;
}

/// A forward in which every sequence goes through another LoRA of a bank of four (1), or all through one (0).
void forward_by_id(benchmark::State& state) {
  train::Batch batch = real_batch(1);
  std::vector<Tuning> adapters;
  for (std::uint64_t seed = 0; seed < 4; ++seed) {
    adapters.push_back(attach(backend_in_use(), model_in_use(), only<1>(adapters::Lora<>{.rank = 8}, {}), seed));
  }
  Tuning* const bank[] = {&adapters[0], &adapters[1], &adapters[2], &adapters[3]};
  for (std::size_t i = 0; i < 4; ++i) {
    batch.ragged.adapter[i] = state.range(0) == 1 ? static_cast<Index>(i) + 1 : 1;
  }
  models::LlamaRun<Model, Tuning> run;
  for ([[maybe_unused]] auto _ : state) {
    run.forward(backend_in_use(), model_in_use(), bank, batch.ragged, batch.tokens, batch.labelled());
    benchmark::DoNotOptimize(run.loss(backend_in_use(), model_in_use(), batch.rows, batch.targets));
  }
  state.counters["tok/s"] =
      benchmark::Counter(static_cast<double>(state.iterations() * batch.ragged.tokens()), benchmark::Counter::kIsRate);
}

BENCHMARK(frozen)->Unit(benchmark::kMillisecond)->UseRealTime()->Iterations(5);
BENCHMARK(lora_r8)->Unit(benchmark::kMillisecond)->UseRealTime()->Iterations(5);
BENCHMARK(pmss)->Arg(32)->Arg(64)->Unit(benchmark::kMillisecond)->UseRealTime()->Iterations(5);
BENCHMARK(loreft_r4)->Unit(benchmark::kMillisecond)->UseRealTime()->Iterations(5);
BENCHMARK(layout)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(forward_by_id)->Arg(0)->Arg(1)->Unit(benchmark::kMillisecond)->UseRealTime()->Iterations(5);

}  // namespace
