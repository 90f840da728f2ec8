// SPDX-License-Identifier: Apache-2.0
// Ctrl-C and SIGTERM as a wish that the training loop reads; a second one ends the program at once.
//
// A thread of its own waits for both, and all others have them blocked: oneDNN's products put the stack pointer into their
// workspace, and the frame of a signal that arrives there would overwrite what lies below it on the heap.
#pragma once

namespace graft::program {

/// Before any other thread is made. Until listen_for_interrupt() the signals end the program, as they do by default.
void watch_signals();
/// From here on the first signal sets the wish.
void listen_for_interrupt();
[[nodiscard]] bool interrupted();
/// Another process of the run has got a signal.
void interrupted_elsewhere();

}  // namespace graft::program
