// SPDX-License-Identifier: Apache-2.0
#include "progress.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdio>

#include "machine.hpp"
#include "words.hpp"

namespace graft::program {

namespace {

/// The text, cut to the width of the terminal: a live line that wraps could not be taken back.
std::string fitted(const std::string& text) {
  winsize size{};
  const bool known = ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1;
  return known ? text.substr(0, size.ws_col - 1U) : text;
}

}  // namespace

Progress::Progress(Index total, Index per_epoch, Index every, Index done)
    : total_(total), per_epoch_(per_epoch), every_(every), done_(done), terminal_(::isatty(STDERR_FILENO) == 1) {}

std::string Progress::describe(const train::StepReport& report) const {
  const double seconds = std::chrono::duration<double>(Clock::now() - begin_).count();
  const double each = seconds / static_cast<double>(report.step - done_);
  return "step " + std::to_string(report.step) + "/" + std::to_string(total_) + "  epoch " +
         fixed(static_cast<double>(report.step) / static_cast<double>(per_epoch_), 2) + "  loss " +
         fixed(report.loss, 4) + (valid_ ? "  valid " + fixed(*valid_, 4) : "") + "  rate " +
         significant(report.rate, 3) + "  gradient " + significant(report.gradient_norm, 3) + "  " +
         with_commas(static_cast<Index>(static_cast<double>(tokens_) / seconds)) + " tokens/s  " +
         bytes_text(resident_memory()) + "  " + duration_text(each * static_cast<double>(total_ - report.step)) +
         " left";
}

void Progress::step(const train::StepReport& report) {
  tokens_ += report.tokens;
  const auto now = Clock::now();
  const std::chrono::duration<double> silent = now - shown_;
  const bool ends = report.step == done_ + 1 || report.step == total_;
  if (terminal_ && (ends || silent.count() > 0.1)) {
    std::fprintf(stderr, "\r\x1b[K%s", fitted(describe(report)).c_str());
    live_ = true;
    shown_ = now;
  } else if (!terminal_ && (ends || (every_ > 0 ? report.step % every_ == 0 : silent.count() > 10))) {
    std::fprintf(stderr, "%s\n", describe(report).c_str());
    shown_ = now;
  }
  if (terminal_ && every_ > 0 && report.step % every_ == 0) {
    line(describe(report));
  }
}

void Progress::line(const std::string& text) {
  std::fprintf(stderr, "%s%s\n", live_ ? "\r\x1b[K" : "", text.c_str());
  live_ = false;
}

}  // namespace graft::program
