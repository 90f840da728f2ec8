// SPDX-License-Identifier: Apache-2.0
#include "processes.hpp"

#include <cstdlib>  // atoi, getenv
#include <vector>

#include <graft/base/require.hpp>

namespace graft::program {

Index launched_processes() {
  // Open MPI; MPICH, Intel MPI and others of Hydra's kind; srun, which is not what a batch script itself is started by.
  for (const char* name : {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS"}) {
    if (const char* const size = std::getenv(name); size != nullptr && std::atoi(size) > 0) {
      return std::atoi(size);
    }
  }
  return 1;
}

double Processes::sum_of(double mine) const {
  sum(std::span(&mine, 1));
  return mine;
}

std::string Processes::first_text(const std::string& mine) const {
  std::vector<double> lengths(static_cast<std::size_t>(size()));
  lengths[static_cast<std::size_t>(rank())] = static_cast<double>(mine.size());
  sum(std::span(lengths));
  for (std::size_t from = 0; from < lengths.size(); ++from) {
    if (lengths[from] > 0) {
      std::string text = mine;
      text.resize(static_cast<std::size_t>(lengths[from]));
      broadcast(std::as_writable_bytes(std::span(text)), static_cast<Index>(from));
      return text;
    }
  }
  return "";
}

void Processes::require_same(const std::string& mine) const {
  if (any(mine != first_text(leads() ? mine : ""))) {
    fail("train.512",
         "the processes of this run do not see the same: model, data files, settings, --resume folder and instruction set "
         "must be the same on every machine (GRAFT_ISA and --dtype settle the last)");
  }
}

}  // namespace graft::program
