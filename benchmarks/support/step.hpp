// SPDX-License-Identifier: Apache-2.0
// What the benchmarks of whole steps share: model, batch and adapters, and the rate that a step's own products reach alone.
#pragma once

#include <algorithm>  // max, min, sort
#include <chrono>
#include <cstdlib>  // getenv
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <utility>  // move
#include <vector>

#include <benchmark/benchmark.h>

#include <graft/adapters/lora.hpp>
#include <graft/adapters/pmss.hpp>
#include <graft/adapters/policies/baseline_selectors.hpp>
#include <graft/adapters/subspace.hpp>
#include <graft/models/attach.hpp>
#include <graft/models/llama_run.hpp>
#include <graft/models/open_checkpoint.hpp>
#include <graft/optimizers/adamw.hpp>
#include <graft/schedules/constant.hpp>
#include <graft/train/generate.hpp>
#include <graft/train/trainer.hpp>

#include "random_checkpoint.hpp"
#include "roof.hpp"

namespace graft::bench {

/// fp32, or weights in bf16 beside fp32 sums.
using Full32 = Uniform<float>;
using Half16 = Mixed<bf16, float>;

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

/// One type for every method, as in the program: parts that are not asked for make no modules.
using Tuned = Stack<At<site::query, Probe>, At<site::linear, adapters::Lora<>>, At<site::linear, adapters::Pmss<>>,
                    At<site::residual, adapters::LoReft<4>>,
                    At<site::linear, adapters::Pmss<dynamic, adapters::policies::AtRandom>>>;
using Tuning = Attached<float, Tuned>;

/// Part `Wanted` of the stack alone.
template <std::size_t Wanted>
[[nodiscard]] Tuned only(const auto& adapter, Placement placement = {}) {
  Tuned stack;
  std::apply([](auto&... at) { ((at.placement.sites = site::none), ...); }, stack.parts);
  std::get<Wanted>(stack.parts).adapter = adapter;
  std::get<Wanted>(stack.parts).placement = std::move(placement);
  return stack;
}
[[nodiscard]] inline Tuned frozen_stack() {
  return only<0>(Probe{}, {.layers = only_layers({0})});
}
[[nodiscard]] inline Tuned lora_stack(Index rank) {
  return only<1>(adapters::Lora<>{.rank = rank});
}
[[nodiscard]] inline Tuned pmss_stack(Index rank) {
  return only<2>(adapters::Pmss<>{.rank = rank});
}
[[nodiscard]] inline Tuned random_pmss_stack(Index rank) {
  return only<4>(adapters::Pmss<dynamic, adapters::policies::AtRandom>{.rank = rank, .clamp = true});
}
[[nodiscard]] inline Tuned loreft_stack() {
  return only<3>(adapters::LoReft<4>{}, {.positions = ends(7, 7)});
}

/// The model that GRAFT_BENCH_MODEL names: a folder or file, "1.1b" or "8b" for random weights of that shape, else random
/// weights of SmolLM2's shape.
template <precision P, class B>
[[nodiscard]] models::Llama<P, B>& model_in_use() {
  static models::Llama<P, B> model = [] {
    const char* const wish = std::getenv("GRAFT_BENCH_MODEL");
    const std::string_view name = wish != nullptr ? wish : "smollm2";
    return models::Llama<P, B>::load(name == "smollm2" ? random_checkpoint(smollm2_shape(), 1)
                                     : name == "1.1b"  ? random_checkpoint(tinyllama_shape(), 1)
                                     : name == "8b"    ? random_checkpoint(llama3_shape(), 1)
                                                       : models::open_checkpoint(std::string(name)));
  }();
  return model;
}

/// Sequences of random tokens; the last 48 of 100 are labelled, as in GSM8K's dialogues.
[[nodiscard]] inline train::Batch batch_of(std::span<const Index> lengths, Index vocab) {
  train::Batch batch;
  for (std::size_t s = 0; s < lengths.size(); ++s) {
    train::Example example;
    example.prompt = lengths[s] * 52 / 100;
    for (Index t = 0; t < lengths[s]; ++t) {
      example.ids.push_back(static_cast<std::int32_t>(
          Random(1, s).below(static_cast<std::uint64_t>(t), static_cast<std::uint64_t>(vocab))));
      example.labels.push_back(t < example.prompt ? train::ignored : example.ids.back());
    }
    batch.push(example);
  }
  return batch;
}
/// Four sequences as GSM8K's come: 0.87 of 4 x 256 tokens.
inline constexpr Index real_lengths[] = {256, 198, 237, 201};

/// Flops of the frozen products of a step: 2 N a token for each of `passes` (forward; and back), the head on labelled rows.
[[nodiscard]] inline double product_flops(const models::LlamaConfig& c, const train::Batch& batch, int passes) {
  const double block = static_cast<double>(c.dim * (2 * c.q_dim() + 2 * c.kv_dim() + 3 * c.ffn));
  return 2.0 * passes *
         (static_cast<double>(batch.ragged.tokens()) * static_cast<double>(c.layers) * block +
          static_cast<double>(batch.labelled()) * static_cast<double>(c.vocab * c.dim));
}

/// Seconds of the same products alone, in the same blocks: the roof.
template <class Model>
[[nodiscard]] double product_seconds(const typename Model::Backend& be, const Model& model, const train::Batch& batch,
                                     int passes) {
  using S = typename Model::S;
  const Index t = batch.ragged.tokens();
  const Index widest = std::max({model.config.ffn, model.config.dim, model.config.q_dim()});
  constexpr Index head_rows = models::LlamaRun<Model, Tuning>::head_rows;
  const Index room = std::max(t * widest, head_rows * model.config.vocab);
  const Tensor<S> x(1, room);
  Tensor<float> y(1, room);
  const auto both_ways = [&](const auto& weight, Block b) {
    const auto in = [&](Index cols) { return View<const S>(x.data() + b.begin * cols, b.rows, cols); };
    const auto out = [&](Index cols) { return View<float>(y.data() + b.begin * cols, b.rows, cols); };
    be.gemm_nt(1, in(weight.cols()), weight, 0, out(weight.rows()));
    if (passes == 2) {
      be.gemm_nn(1, in(weight.rows()), weight, 0, out(weight.cols()));
    }
  };
  return seconds_of([&] {
    const auto burst = be.burst();
    for (const auto& block : model.blocks) {
      be.for_each_block(t, [&](Block b) {
        for (Sites one = 1; one <= site::down; one <<= 1) {
          both_ways(block.linear(one).weight, b);
        }
      });
    }
    for (Index first = 0; first < batch.labelled(); first += head_rows) {
      be.for_each_block(std::min(head_rows, batch.labelled() - first), [&](Block b) { both_ways(model.head(), b); });
    }
  });
}

/// Forward, and where `back` the whole way down to the first block, without an adapter.
template <class Model>
class FrozenStep {
 public:
  FrozenStep(const typename Model::Backend& be, Model& model, const train::Batch& batch, bool back)
      : be_(be), model_(model), batch_(batch), back_(back), probe_(attach(be, model, frozen_stack(), 1)) {}

  void operator()() {
    Tuning* const bank[] = {&probe_};
    run_.forward(be_, model_, bank, batch_.ragged, batch_.tokens, batch_.labelled(), {.keep = back_});
    benchmark::DoNotOptimize(run_.loss(be_, model_, batch_.rows, batch_.targets,
                                       back_ ? 1.0f / static_cast<float>(batch_.labelled()) : 0.0f));
    if (back_) {
      run_.backward(be_, model_);
    }
  }
  [[nodiscard]] std::size_t arena_bytes() const { return run_.arena().peak(); }

 private:
  const typename Model::Backend& be_;
  Model& model_;
  const train::Batch& batch_;
  bool back_;
  Tuning probe_;
  models::LlamaRun<Model, Tuning> run_;
};

/// The middle one of an odd number of values.
[[nodiscard]] inline double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

/// Times a step, then at once what it is compared with (its products alone and, where given, the frozen step), so that all
/// meet the same weather; reports medians of the ratios. The row calls UseManualTime().
template <class Step, class Model>
void measure(benchmark::State& state, const Step& step, const typename Model::Backend& be, const Model& model,
             const train::Batch& batch, int passes, const std::function<void()>& frozen = {}) {
  std::vector<double> shares;
  std::vector<double> over;
  step();
  for ([[maybe_unused]] auto _ : state) {
    const double seconds = seconds_of(step);
    state.SetIterationTime(seconds);
    shares.push_back(product_seconds(be, model, batch, passes) / seconds);
    if (frozen) {
      over.push_back(seconds / seconds_of(frozen));
    }
  }
  const auto steps = static_cast<double>(state.iterations());
  using benchmark::Counter;
  state.counters["tok/s"] = Counter(steps * static_cast<double>(batch.ragged.tokens()), Counter::kIsRate);
  state.counters["GFLOP/s"] = Counter(steps * product_flops(model.config, batch, passes) / 1e9, Counter::kIsRate);
  state.counters["share_of_gemm"] = median(shares);
  if (frozen) {
    state.counters["over_frozen"] = median(over);
  }
}

/// A token after another behind a prompt of 64: tokens/s, and the bytes of the weights read for each, beside the `roof` in bytes/s.
template <class Model>
void measure_decoding(benchmark::State& state, const typename Model::Backend& be, const Model& model, double roof) {
  const std::vector<std::int32_t> prompt(64, 1);
  constexpr Index most = 64;
  std::chrono::steady_clock::time_point begin;
  double seconds = 0;
  for ([[maybe_unused]] auto _ : state) {
    Index written = 0;
    (void)train::generate<Model, Tuning>(be, model, nullptr, prompt, {.most = most}, [&](std::int32_t) {
      begin = written++ == 0 ? std::chrono::steady_clock::now() : begin;
      return true;
    });
    seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  }
  const models::LlamaConfig& c = model.config;
  const double block = static_cast<double>(c.dim * (2 * c.q_dim() + 2 * c.kv_dim() + 3 * c.ffn));
  const double weights = static_cast<double>(sizeof(typename Model::S)) *
                         (static_cast<double>(c.layers) * block + static_cast<double>(c.vocab * c.dim));
  const double tokens = static_cast<double>(state.iterations() * (most - 1));
  state.counters["tok/s"] = tokens / seconds;
  state.counters["GB/s"] = tokens * weights / seconds / 1e9;
  state.counters["of_read_bandwidth"] = tokens * weights / seconds / roof;
}

}  // namespace graft::bench
