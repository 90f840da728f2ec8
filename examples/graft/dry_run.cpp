// SPDX-License-Identifier: Apache-2.0
#include "dry_run.hpp"

#include <algorithm>  // max, nth_element
#include <cstdio>
#include <span>
#include <vector>

#include "machine.hpp"
#include "processes.hpp"
#include "words.hpp"

namespace graft::program {

DryRun try_steps(Engine& engine, train::EpochBatches& batches, const train::DatasetCounts& counts, Index steps,
                 std::size_t forecast) {
  const train::Batch largest = batches.largest();
  (void)engine.step(std::span(&largest, 1));  // the first of its shape prepares the products
  std::vector<train::StepReport> tried;
  const Processes processes;
  const double all = static_cast<double>(processes.size());
  for (double spent = 0; std::ssize(tried) < 8 && (tried.empty() || spent < 2);
       spent += processes.sum_of(tried.back().seconds) / all) {  // they must agree on when it is enough
    tried.push_back(engine.step(batches.at(std::ssize(tried))));
  }
  const auto seconds_a_token = [](const train::StepReport& report) {
    return report.seconds / static_cast<double>(std::max<Index>(report.tokens, 1));
  };
  const auto middle = tried.begin() + std::ssize(tried) / 2;
  std::nth_element(tried.begin(), middle, tried.end(), [&](const train::StepReport& a, const train::StepReport& b) {
    return seconds_a_token(a) < seconds_a_token(b);
  });
  const double of_example =
      static_cast<double>(counts.tokens) / static_cast<double>(counts.records - counts.too_long - counts.untrained);
  DryRun found;
  found.tokens = of_example * static_cast<double>(batches.examples()) * static_cast<double>(steps) /
                 static_cast<double>(batches.per_epoch());
  found.seconds = seconds_a_token(*middle) * found.tokens;
  found.peak = peak_memory();
  std::fprintf(stderr,
               "time      %s ms for a step of %s tokens (%s tokens/s): about %s for %s steps, validation aside\n"
               "measured  peak memory %s, %s %% of the forecast\n",
               fixed(1000 * middle->seconds, 0).c_str(), with_commas(middle->tokens).c_str(),
               with_commas(static_cast<Index>(1 / std::max(seconds_a_token(*middle), 1e-9))).c_str(),
               duration_text(found.seconds).c_str(), with_commas(steps).c_str(), bytes_text(found.peak).c_str(),
               fixed(100.0 * static_cast<double>(found.peak) / static_cast<double>(forecast), 1).c_str());
  return found;
}

}  // namespace graft::program
