// SPDX-License-Identifier: Apache-2.0
// graft: finetune, eval, generate and inspect LLaMA-style models. stdout carries results, stderr progress and errors.
#include <algorithm>  // replace
#include <cstdio>
#include <exception>
#include <string>

#include "commands.hpp"
#include "flags.hpp"
#include "interrupt.hpp"
#include "processes.hpp"

int main(int count, char** arguments) {
  try {
    graft::program::watch_signals();
    return graft::program::run_command_line(count, arguments);
  } catch (const std::exception& error) {
    std::string message = error.what();
    std::replace(message.begin(), message.end(), '\n', ' ');
    std::fprintf(stderr, "graft: %s\n", message.c_str());
    graft::program::end_processes(message);
    return graft::program::exit_error;
  }
}
