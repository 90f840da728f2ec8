// SPDX-License-Identifier: Apache-2.0
#include "dry_run.hpp"

#include <algorithm>  // max
#include <cstdio>

#include "machine.hpp"
#include "words.hpp"

namespace graft::program {

void try_steps(Engine& engine, train::EpochBatches& batches, const train::DatasetCounts& counts, Index steps,
               std::size_t forecast) {
  const train::Batch largest = batches.largest();
  (void)engine.step(std::span(&largest, 1));  // the first of its shape prepares the products
  const train::StepReport report = engine.step(batches.at(0));
  const double share =
      static_cast<double>(counts.tokens) /
      static_cast<double>(counts.records - counts.too_long - counts.untrained);  // tokens of an example
  const double tokens = share * static_cast<double>(batches.examples()) * static_cast<double>(steps) /
                        static_cast<double>(batches.per_epoch());
  const double seconds = report.seconds * tokens / static_cast<double>(std::max<Index>(report.tokens, 1));
  const std::size_t peak = peak_memory();
  std::fprintf(
      stderr,
      "time      %s ms for a step of %s tokens (%s tokens/s): about %s for %s steps, validation aside\n"
      "measured  peak memory %s, %s %% of the forecast\n",
      fixed(1000 * report.seconds, 0).c_str(), with_commas(report.tokens).c_str(),
      with_commas(static_cast<Index>(static_cast<double>(report.tokens) / std::max(report.seconds, 1e-9))).c_str(),
      duration_text(seconds).c_str(), with_commas(steps).c_str(), bytes_text(peak).c_str(),
      fixed(100.0 * static_cast<double>(peak) / static_cast<double>(forecast), 1).c_str());
}

}  // namespace graft::program
