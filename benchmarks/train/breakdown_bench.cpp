// SPDX-License-Identifier: Apache-2.0
// Where the time of a step goes: the share of the threads' time that each kind of operation takes; `between` is what lies
// between operations (waiting for the other thread, laying memory out). A clock around each call, nothing sampled.
#include <benchmark/benchmark.h>

#include "../support/step.hpp"
#include "../support/timed.hpp"

using namespace graft;

namespace {

using Backend = bench::Timed<bench::Quickest>;

template <precision P>
void breakdown(benchmark::State& state, const bench::Tuned& stack) {
  Backend be;
  be.block_rows = bench::quickest_for<P>().block_rows;
  auto& model = bench::model_in_use<P, Backend>();
  const train::Batch batch = bench::batch_of(bench::real_lengths, model.config.vocab);
  bench::Tuning tuned = attach(be, model, stack, 1);
  train::Trainer trainer(be, model, tuned, optimizers::AdamW{}, schedules::Constant{}, {.rate = 1e-5});
  (void)trainer.step(batch);
  bench::Clock& clock = Backend::clock();
  clock.reset();
  const double all = static_cast<double>(lane_count()) * bench::seconds_of([&] {
                       for ([[maybe_unused]] auto _ : state) {
                         benchmark::DoNotOptimize(trainer.step(batch).loss);
                       }
                     });
  double between = 1;
  const bench::Clock::Seconds spent = clock.total();
  for (std::size_t k = 0; k < spent.size(); ++k) {
    state.counters[std::string(bench::work_names[k])] = spent[k] / all;
    between -= spent[k] / all;
  }
  state.counters["between"] = between;
}

/// One step a precision and method.
template <precision P>
struct Rows {
  explicit Rows(const std::string& name) {
    const auto add = [&](const std::string& method, const auto& stack) {
      benchmark::RegisterBenchmark(("breakdown/" + method + "/" + name).c_str(),
                                   [stack](benchmark::State& state) { breakdown<P>(state, stack()); })
          ->Unit(benchmark::kMillisecond)
          ->UseRealTime()
          ->Iterations(5);
    };
    add("lora_r8", [] { return bench::lora_stack(8); });
    add("pmss_r64", [] { return bench::pmss_stack(64); });
    add("loreft_r4", [] { return bench::loreft_stack(); });
  }
};
const Rows<bench::Full32> full32("fp32");
const Rows<bench::Half16> half16("bf16");

}  // namespace
