// SPDX-License-Identifier: Apache-2.0
// Reach: how far down the gradient has to travel inside a block.
#pragma once

namespace graft {

/// Only to the edits of the block's output; through the feed-forward; to the output of the attention; through the
/// attention to its projections; or on to the block's input, because something below it learns.
enum class Reach { edits_only, feed_forward, output, attention, input };

}  // namespace graft
