// SPDX-License-Identifier: Apache-2.0
#include "interrupt.hpp"

#include <pthread.h>

#include <atomic>
#include <csignal>
#include <thread>

namespace graft::program {

namespace {

std::atomic<bool> listening = false;
std::atomic<bool> wished = false;
std::atomic<bool> elsewhere = false;  // apart: the first signal here ends nothing at once, though another process had one before

}  // namespace

void watch_signals() {
  std::signal(SIGXFSZ, SIG_IGN);  // a file that may not grow is an error of write, which is told
  sigset_t both;
  sigemptyset(&both);
  sigaddset(&both, SIGINT);
  sigaddset(&both, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &both, nullptr);  // every thread that is made from here on inherits it
  std::thread([both] {
    for (int number = 0; sigwait(&both, &number) == 0;) {
      if (listening && !wished.exchange(true)) {
        continue;
      }
      std::signal(number, SIG_DFL);
      pthread_sigmask(SIG_UNBLOCK, &both, nullptr);
      std::raise(number);
    }
  }).detach();
}

void listen_for_interrupt() {
  listening = true;
}

bool interrupted() {
  return wished || elsewhere;
}

void interrupted_elsewhere() {
  elsewhere = true;
}

}  // namespace graft::program
