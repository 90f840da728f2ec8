// SPDX-License-Identifier: Apache-2.0
// The command line: all flags, their aliases and their help.
#pragma once

namespace graft::program {

/// Reads the command line and runs what it names; help goes to stdout. A mistake in it is train.430.
int run_command_line(int count, const char* const* arguments);

}  // namespace graft::program
