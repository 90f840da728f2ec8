// SPDX-License-Identifier: Apache-2.0
// The prompts on which a receipt compares two models: fixed texts of several kinds, and one in the form of training.
#pragma once

#include <string>
#include <vector>

#include <graft/train/batch.hpp>

#include "session.hpp"

namespace graft::program {

/// At least 8 prompts and 256 tokens.
struct Probes {
  std::vector<train::Example> prompts;
  std::string form;  // of the last one
};

/// Those of a session's tokenizer, or numbers drawn at random where it has none. Texts are cut at 40 tokens; the first
/// three quarters of each are its prompt, so that edits of chosen positions show.
[[nodiscard]] Probes probes_of(const Session& session);

}  // namespace graft::program
