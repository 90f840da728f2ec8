// SPDX-License-Identifier: Apache-2.0
// What a run is asked for, checked before anything is read, and what it came to, for run.json, a checkpoint and --config.
#pragma once

#include <map>
#include <string>
#include <vector>

#include <graft/io/json.hpp>

#include "engine.hpp"
#include "settings.hpp"

namespace graft::program {

/// Numbers and words that no run can have, or that do not go together (train.430, train.431).
void check_settings(const FinetuneSettings& s);
/// --schedule (train.431).
[[nodiscard]] RateShape shape_named(const std::string& name);
/// --format (train.431).
[[nodiscard]] AdapterFormat format_named(const std::string& format);

/// The settings with what the defaults came to.
struct ResolvedRun {
  const FinetuneSettings& settings;
  const std::vector<AdapterSummary>& adapters;
  const std::vector<AdapterWords>& words;
  const TrainingRequest& training;
  Index window = 0;
  std::string precision;
};

/// Every setting as it was used, under the names of the flags.
[[nodiscard]] io::Json settings_json(const ResolvedRun& run);
/// The settings on which a number of the run depends: what a checkpoint must find again.
[[nodiscard]] io::Json identity_settings(const ResolvedRun& run);
/// The files that the numbers depend on, by flag.
[[nodiscard]] std::map<std::string, std::string> data_fingerprints(const FinetuneSettings& s);
/// The settings as a file for --config: every flag that was given, and what the defaults came to.
[[nodiscard]] io::Json config_json(const ResolvedRun& run);

}  // namespace graft::program
