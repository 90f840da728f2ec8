// SPDX-License-Identifier: Apache-2.0
// MemoryForecast: what a run will hold at its peak: what the process holds now, and what is still to come.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include <graft/io/json.hpp>

#include "engine.hpp"

namespace graft::program {

class Session;

struct MemoryForecast {
  std::vector<MemoryPart>
      parts;  // of the peak; those whose names begin with blanks say what the part above them is made of
  std::size_t total = 0;

  /// As a table, each line with `indent` spaces before it.
  [[nodiscard]] std::string text(int indent) const;
  [[nodiscard]] io::Json json() const;  ///< bytes by name
};

/// Adds to the engine's parts what else the process holds: weights and adapter are there already, and with them the program,
/// the tokenizer, the index of the data and pages of mapped files, which are measured now.
[[nodiscard]] MemoryForecast forecast_memory(Session& session, std::vector<MemoryPart> parts);

}  // namespace graft::program
