// SPDX-License-Identifier: Apache-2.0
// Countdown: how far a long piece of work is, on stderr: rate and remaining time, once it has taken two seconds.
#pragma once

#include <chrono>
#include <string>

#include <graft/base/index.hpp>

namespace graft::program {

class Countdown {
 public:
  /// "reading train.jsonl", "records".
  Countdown(std::string what, std::string unit);

  /// `done` of `all` are done; a terminal shows it at once, elsewhere a line is written every ten seconds.
  void at(Index done, Index all);
  /// Takes the live line away.
  void clear();
  [[nodiscard]] double seconds() const;  ///< since it was made

 private:
  using Clock = std::chrono::steady_clock;

  std::string what_, unit_;
  bool terminal_;
  bool live_ = false;
  Clock::time_point begin_ = Clock::now();
  Clock::time_point shown_ = begin_;
};

}  // namespace graft::program
