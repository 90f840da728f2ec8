// SPDX-License-Identifier: Apache-2.0
#include "countdown.hpp"

#include <unistd.h>

#include <algorithm>  // max
#include <cstdio>
#include <utility>  // move

#include "words.hpp"

namespace graft::program {

Countdown::Countdown(std::string what, std::string unit)
    : what_(std::move(what)), unit_(std::move(unit)), terminal_(::isatty(STDERR_FILENO) == 1) {}

double Countdown::seconds() const {
  return std::chrono::duration<double>(Clock::now() - begin_).count();
}

void Countdown::at(Index done, Index all) {
  const double passed = seconds();
  const double silent = std::chrono::duration<double>(Clock::now() - shown_).count();
  if (passed < 2 || done == 0 || silent < (terminal_ ? 0.1 : 10)) {
    return;
  }
  shown_ = Clock::now();
  const double rate = static_cast<double>(done) / passed;
  const std::string text = what_ + "  " + with_commas(done) + "/" + with_commas(all) + "  " + significant(rate, 3) +
                           " " + unit_ + "/s  " +
                           duration_text(static_cast<double>(all - done) / std::max(rate, 1e-9)) + " left";
  std::fprintf(stderr, terminal_ ? "\r\x1b[K%s" : "%s\n", text.c_str());
  live_ = terminal_;
}

void Countdown::clear() {
  if (live_) {
    std::fputs("\r\x1b[K", stderr);
    live_ = false;
  }
}

}  // namespace graft::program
