// SPDX-License-Identifier: Apache-2.0
// Progress: what a run says on stderr: one live line where that is a terminal, else plain lines now and then.
#pragma once

#include <chrono>
#include <string>

#include <graft/train/trainer.hpp>

namespace graft::program {

class Progress {
 public:
  /// `every` steps give a plain line; 0 leaves it to the clock. `done` of them lie behind a run that goes on.
  Progress(Index total, Index every, Index done = 0);

  /// After each step.
  void step(const train::StepReport& report);
  /// A line that stays, under whatever is live.
  void line(const std::string& text);

 private:
  using Clock = std::chrono::steady_clock;

  [[nodiscard]] std::string describe(const train::StepReport& report) const;

  Index total_;
  Index every_;
  Index done_;
  bool terminal_;
  bool live_ = false;
  Clock::time_point begin_ = Clock::now();
  Clock::time_point shown_;
  Index tokens_ = 0;
};

}  // namespace graft::program
