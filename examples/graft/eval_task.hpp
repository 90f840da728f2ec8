// SPDX-License-Identifier: Apache-2.0
// graft eval --task: a model's answers to the items of a task, judged as the task defines.
#pragma once

#include "settings.hpp"

namespace graft::program {

int evaluate_task(const EvalSettings& settings);

}  // namespace graft::program
