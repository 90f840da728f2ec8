// SPDX-License-Identifier: Apache-2.0
// run_self: this program once more, with other words, in a process of its own: its peak memory and its crashes are its
// own.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace graft::program {

/// Runs it to its end, its stdout into one file and its stderr behind what another holds. A wish to end (interrupt.hpp)
/// is passed on, once; if this process dies, so does the child. `waiting` is called some times a second. Returns the
/// exit code, or 128 and the signal that killed it.
int run_self(const std::vector<std::string>& words, const std::string& output, const std::string& log,
             const std::function<void()>& waiting);

}  // namespace graft::program
