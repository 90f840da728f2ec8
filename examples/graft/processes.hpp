// SPDX-License-Identifier: Apache-2.0
// Processes: those that mpirun started for one run. Each does all of it alike, but for its share of every step's examples; the
// first alone is heard and writes. The sources processes_mpi.cpp and processes_alone.cpp are with MPI and without.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include <graft/base/index.hpp>
#include <graft/core/view.hpp>

namespace graft::program {

/// How many processes a launcher says that it has started for this command; 1 without a launcher.
[[nodiscard]] Index launched_processes();
/// Meets the other processes, if there are any (train.510). From here on all but the first are silent.
void join_processes();
/// After all that they do together.
void leave_processes();
/// Ends them all, where there are several, because this one cannot go on; a process that is not heard says so. Else returns.
void end_processes(const std::string& message);

/// The processes as a communicator (train/communicator.hpp): one alone before they have met.
class Processes {
 public:
  [[nodiscard]] Index rank() const;
  [[nodiscard]] Index size() const;
  /// Among those on the same machine.
  [[nodiscard]] Index rank_on_machine() const;
  /// Whether this is the one that is heard and writes.
  [[nodiscard]] bool leads() const { return rank() == 0; }

  template <class B>
  void sum(const B& be, std::span<const View<float>> gradients) const {
    if (size() > 1) {
      be.finish();
      sum(gradients);
    }
  }
  void sum(std::span<double> numbers) const;
  void broadcast(std::span<std::byte> bytes, Index from = 0) const;

  /// What follows is the same on every process, and waits for all of them. @{
  [[nodiscard]] double sum_of(double mine) const;
  [[nodiscard]] bool any(bool mine) const { return sum_of(mine ? 1 : 0) > 0; }
  void wait() const { (void)sum_of(0); }
  /// The text of the first that has one.
  [[nodiscard]] std::string first_text(const std::string& mine) const;
  /// Refuses to go on where the text is not the same everywhere (train.512).
  void require_same(const std::string& mine) const;
  /// @}

 private:
  void sum(std::span<const View<float>> gradients) const;
};

}  // namespace graft::program
