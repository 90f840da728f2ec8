// SPDX-License-Identifier: Apache-2.0
// Ctrl-C and SIGTERM as a wish that the training loop reads; a second one ends the program at once.
#pragma once

namespace graft::program {

/// From here on both signals set the wish.
void listen_for_interrupt();
[[nodiscard]] bool interrupted();

}  // namespace graft::program
