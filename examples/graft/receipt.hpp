// SPDX-License-Identifier: Apache-2.0
// Witness: what a model with its adapter answers to the probes, held against what was exported from them.
#pragma once

#include <string>

#include <graft/io/json.hpp>
#include <graft/train/receipt.hpp>

#include "draft.hpp"
#include "probes.hpp"
#include "session.hpp"

namespace graft::program {

/// The settings of a model with an adapter whose answers are to be compared: with chat template and tokenizer of the run
/// that made the adapter, where run.json lies in its folder.
[[nodiscard]] ModelSettings witnessed(const std::string& model, const std::string& adapter, const std::string& dtype);

class Witness {
 public:
  /// Runs the probes through the session's model and adapter.
  explicit Witness(Session& session);

  /// Runs them through the exported one, and gives what was found with the bounds for numbers of type `dtype`; beyond them
  /// it is train.446. It is said on stderr, too.
  [[nodiscard]] io::Json receipt(Session& exported, const std::string& dtype);

 private:
  void run(Session& session, const LogitsVisitor& visit) const;

  Probes probes_;
  train::LogitComparison comparison_;
  std::string precision_;
};

/// Writes receipt.json into the draft, or beside it where that is a file, and gives the draft its name.
void commit_with_receipt(Draft& draft, const std::string& out, const io::Json& receipt);

}  // namespace graft::program
