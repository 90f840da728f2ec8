// SPDX-License-Identifier: Apache-2.0
// Mpi: the processes that an MPI launcher has started, as a communicator for memory that the processor reaches.
//
// Each process gets a piece of the numbers from all others, adds it up in the order of the ranks and hands it round. That is
// as little traffic as a ring takes, and, unlike MPI_Allreduce, whose order is the library's affair: made once, so that no two
// processes can hold other bits, and repeated from run to run.
#pragma once

#include <algorithm>  // copy, max, min
#include <cstddef>
#include <span>
#include <type_traits>  // is_trivially_copyable
#include <vector>

#include <mpi.h>

#include <graft/base/index.hpp>
#include <graft/core/view.hpp>

namespace graft::train {

/// The program calls MPI_Init before the first of them and MPI_Finalize after the last; all calls come from one thread. A failure
/// of MPI ends all processes, as MPI does by default.
class Mpi {
 public:
  /// Numbers that go round at once: memory for them is taken once, and no count leaves an int.
  static constexpr std::size_t most = std::size_t{1} << 20;

  /// The processes of this group.
  explicit Mpi(MPI_Comm group = MPI_COMM_WORLD) : group_(group) {
    int rank = 0, size = 1;
    MPI_Comm_rank(group_, &rank);
    MPI_Comm_size(group_, &size);
    rank_ = rank;
    bytes_.resize(static_cast<std::size_t>(size));
    begins_.resize(static_cast<std::size_t>(size));
    arrived_bytes_.resize(static_cast<std::size_t>(size));
    arrived_begins_.resize(static_cast<std::size_t>(size));
  }

  [[nodiscard]] Index rank() const { return rank_; }                 ///< this one's number, from 0
  [[nodiscard]] Index size() const { return std::ssize(bytes_); }    ///< processes
  /// How many processes with lower ranks run on the same machine: 0 for the first there.
  [[nodiscard]] Index rank_on_machine() const {
    MPI_Comm machine{};
    int rank = 0;
    MPI_Comm_split_type(group_, MPI_COMM_TYPE_SHARED, static_cast<int>(rank_), MPI_INFO_NULL, &machine);
    MPI_Comm_rank(machine, &rank);
    MPI_Comm_free(&machine);
    return rank;
  }

  /// Sums of gradients, after all that was sent to the backend.
  template <class B, class C>
  void sum(const B& be, std::span<const View<C>> gradients) {
    be.finish();
    sum(gradients);
  }
  /// Sums of matrices, which lie close, as if they were one list.
  template <class C>
  void sum(std::span<const View<C>> matrices) {
    std::vector<std::byte>& memory = packed_;
    std::size_t all = 0;
    for (const View<C>& one : matrices) {
      all += static_cast<std::size_t>(one.size());
    }
    memory.resize(std::min(all, most) * sizeof(C));
    const std::span<C> packed(reinterpret_cast<C*>(memory.data()), std::min(all, most));
    for (std::size_t first = 0; first < all; first += most) {
      const std::span<C> part = packed.first(std::min(most, all - first));
      for_each_piece(matrices, first, part, [](C* number, C* in_part, std::size_t count) {
        std::copy(number, number + count, in_part);
      });
      sum(part);
      for_each_piece(matrices, first, part, [](C* number, C* in_part, std::size_t count) {
        std::copy(in_part, in_part + count, number);
      });
    }
  }
  /// Sums of numbers, at most `most` of them.
  template <class C>
    requires std::is_trivially_copyable_v<C>
  void sum(std::span<C> numbers) {
    const std::size_t processes = bytes_.size();
    const auto begin_of = [&](std::size_t rank) { return numbers.size() * rank / processes; };
    const auto me = static_cast<std::size_t>(rank_);
    const std::size_t mine = begin_of(me), count = begin_of(me + 1) - mine;
    for (std::size_t rank = 0; rank < processes; ++rank) {
      begins_[rank] = static_cast<int>(begin_of(rank) * sizeof(C));
      bytes_[rank] = static_cast<int>((begin_of(rank + 1) - begin_of(rank)) * sizeof(C));
      arrived_begins_[rank] = static_cast<int>(rank * count * sizeof(C));
      arrived_bytes_[rank] = static_cast<int>(count * sizeof(C));
    }
    arrived_.resize(processes * count * sizeof(C));
    MPI_Alltoallv(numbers.data(), bytes_.data(), begins_.data(), MPI_BYTE, arrived_.data(), arrived_bytes_.data(),
                  arrived_begins_.data(), MPI_BYTE, group_);
    const C* const pieces = reinterpret_cast<const C*>(arrived_.data());
    for (std::size_t i = 0; i < count; ++i) {
      C total = pieces[i];
      for (std::size_t rank = 1; rank < processes; ++rank) {
        total += pieces[rank * count + i];
      }
      numbers[mine + i] = total;
    }
    MPI_Allgatherv(MPI_IN_PLACE, 0, MPI_BYTE, numbers.data(), bytes_.data(), begins_.data(), MPI_BYTE, group_);
  }

  /// Process `from` gives its bytes to all; every one has as many.
  void broadcast(std::span<std::byte> bytes, Index from = 0) {
    MPI_Bcast(bytes.data(), static_cast<int>(bytes.size()), MPI_BYTE, static_cast<int>(from), group_);
  }

 private:
  /// Calls move(numbers, numbers of part, count) for the matrices whose numbers `part` stands for, from number `first` of all on.
  template <class C, class Move>
  static void for_each_piece(std::span<const View<C>> matrices, std::size_t first, std::span<C> part, const Move& move) {
    std::size_t begin = 0;  // of the matrix
    for (const View<C>& one : matrices) {
      const std::size_t end = begin + static_cast<std::size_t>(one.size());
      const std::size_t from = std::max(begin, first), to = std::min(end, first + part.size());
      if (from < to) {
        move(one.data + (from - begin), part.data() + (from - first), to - from);
      }
      begin = end;
    }
  }

  MPI_Comm group_;
  Index rank_ = 0;
  std::vector<int> bytes_, begins_;                  // of the pieces, by process
  std::vector<int> arrived_bytes_, arrived_begins_;  // of what each sends for this one's piece
  std::vector<std::byte> arrived_, packed_;
};

}  // namespace graft::train
