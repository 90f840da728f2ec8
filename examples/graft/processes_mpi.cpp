// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <optional>
#include <thread>

#include <graft/base/require.hpp>
#include <graft/train/mpi.hpp>

#include "commands.hpp"
#include "processes.hpp"

namespace graft::program {

namespace {

std::optional<train::Mpi> joined;  // from join_processes() to leave_processes()
int real_stderr = STDERR_FILENO;  // of a process that is not heard

}  // namespace

void join_processes() {
  const Index launched = launched_processes();
  if (launched <= 1) {  // MPI would take its time to start, for one
    return;
  }
  int given = 0;
  MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &given);
  joined.emplace();
  if (joined->size() != launched) {
    fail("train.510",
         "this was started as " + std::to_string(launched) + " processes, but MPI knows of " +
             std::to_string(joined->size()) +
             ": expected the mpirun (or srun --mpi) of the MPI that the program was built with (docs/distributed.md)");
  }
  if (joined->rank() > 0) {
    real_stderr = ::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    for (std::FILE* const stream : {stdout, stderr}) {
      if (std::freopen("/dev/null", "w", stream) == nullptr) {
        fail("io.202", "cannot open the file", "/dev/null");
      }
    }
  }
}

void leave_processes() {
  if (joined) {
    joined.reset();
    MPI_Finalize();
  }
}

void end_processes(const std::string& message) {
  if (Processes().size() == 1) {
    leave_processes();
    return;
  }
  if (joined->rank() > 0) {
    std::this_thread::sleep_for(std::chrono::seconds(5));  // if the first one fails, too, it says so, and ends this one
    ::dprintf(real_stderr, "graft: process %td: %s\n", joined->rank(), message.c_str());
  }
  MPI_Abort(MPI_COMM_WORLD, exit_error);
}

Index Processes::rank() const {
  return joined ? joined->rank() : 0;
}
Index Processes::size() const {
  return joined ? joined->size() : 1;
}
Index Processes::rank_on_machine() const {
  return joined ? joined->rank_on_machine() : 0;
}
void Processes::sum(std::span<double> numbers) const {
  if (joined) {
    joined->sum(numbers);
  }
}
void Processes::sum(std::span<const View<float>> gradients) const {
  if (joined) {
    joined->sum(gradients);
  }
}
void Processes::broadcast(std::span<std::byte> bytes, Index from) const {
  if (joined) {
    joined->broadcast(bytes, from);
  }
}

}  // namespace graft::program
