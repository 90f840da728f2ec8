// SPDX-License-Identifier: Apache-2.0
// What run.json says about the machine, and how much memory the process has used at most.
#pragma once

#include <cstddef>

#include <graft/io/json.hpp>

namespace graft::program {

/// Processor, cores, instruction set, memory, compiler.
[[nodiscard]] io::Json machine_json();
/// Bytes of the largest resident set so far.
[[nodiscard]] std::size_t peak_memory();
/// Bytes that are resident now.
[[nodiscard]] std::size_t resident_memory();
/// Seconds since the process was started.
[[nodiscard]] double process_seconds();

}  // namespace graft::program
