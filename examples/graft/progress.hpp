// SPDX-License-Identifier: Apache-2.0
// Progress: what a run says on stderr: one live line where that is a terminal, else plain lines now and then.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include <graft/train/trainer.hpp>

namespace graft::program {

class Progress {
 public:
  /// `per_epoch` steps are an epoch; `every` steps give a plain line; 0 leaves it to the clock. `done` of them lie behind a
  /// run that goes on.
  Progress(Index total, Index per_epoch, Index every, Index done = 0);

  /// After each step.
  void step(const train::StepReport& report);
  /// The last loss on the validation set, from here on part of the line.
  void valid(double loss) { valid_ = loss; }
  /// A line that stays, under whatever is live.
  void line(const std::string& text);

 private:
  using Clock = std::chrono::steady_clock;

  [[nodiscard]] std::string describe(const train::StepReport& report) const;

  Index total_, per_epoch_, every_, done_;
  bool terminal_;
  bool live_ = false;
  Clock::time_point begin_ = Clock::now();
  Clock::time_point shown_;
  Index tokens_ = 0;
  std::optional<double> valid_;
};

}  // namespace graft::program
