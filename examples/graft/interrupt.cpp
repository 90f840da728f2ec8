// SPDX-License-Identifier: Apache-2.0
#include "interrupt.hpp"

#include <csignal>

namespace graft::program {

namespace {

volatile std::sig_atomic_t wished = 0;

extern "C" void graft_note_interrupt(int number) {
  wished = 1;
  std::signal(number, SIG_DFL);
}

}  // namespace

void listen_for_interrupt() {
  std::signal(SIGINT, graft_note_interrupt);
  std::signal(SIGTERM, graft_note_interrupt);
}

bool interrupted() {
  return wished != 0;
}

}  // namespace graft::program
