// SPDX-License-Identifier: Apache-2.0
// The program where MPI was not found: one process, which does not pretend to be several.
#include <graft/base/require.hpp>

#include "processes.hpp"

namespace graft::program {

void join_processes() {
  if (const Index count = launched_processes(); count > 1) {
    fail("train.510", "this was started as " + std::to_string(count) +
                          " processes, but the program was built without MPI: expected one process, or a build where MPI is "
                          "found (docs/distributed.md)");
  }
}
void leave_processes() {}
void end_processes(const std::string&) {}

Index Processes::rank() const {
  return 0;
}
Index Processes::size() const {
  return 1;
}
Index Processes::rank_on_machine() const {
  return 0;
}
void Processes::sum(std::span<double>) const {}
void Processes::sum(std::span<const View<float>>) const {}
void Processes::broadcast(std::span<std::byte>, Index) const {}

}  // namespace graft::program
