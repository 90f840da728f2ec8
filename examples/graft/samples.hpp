// SPDX-License-Identifier: Apache-2.0
// Samples: what the model says to a few prompts before it is trained and after, and the prompts that its edits are shown on.
#pragma once

#include <string>
#include <vector>

#include <graft/io/json.hpp>
#include <graft/train/batch.hpp>

#include "session.hpp"

namespace graft::program {

class Samples {
 public:
  /// The texts as the data has them: a conversation's question goes through the chat template. Without any text, the first
  /// prompts of the examples.
  Samples(const Session& session, const FinetuneSettings& settings, std::span<const train::Example> examples,
          bool conversations);

  /// Answers every prompt, greedily, under "before" or "after".
  void answer(Session& session, const char* when);
  /// Takes the answers of a run that goes on, where they are to the same prompts.
  void remember(const io::Json& answered);
  /// [{prompt, before, after}]
  [[nodiscard]] const io::Json& json() const { return json_; }

 private:
  Index most_;  // tokens of an answer
  std::vector<std::vector<std::int32_t>> prompts_;
  io::Json json_ = io::Json::array();
};

/// What the adapter does, for edits.json: the chosen skeletons, and on the first prompts of the examples the size and the
/// effective rank of every block's edits. Null where there is nothing to say.
[[nodiscard]] io::Json edits_json(Session& session, std::span<const train::Example> examples, Index prompts);

}  // namespace graft::program
