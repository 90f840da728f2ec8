// SPDX-License-Identifier: Apache-2.0
// Nccl: gradients of several CUDA devices, added up from device to device by NCCL. What few numbers the processor holds, and the
// name by which the devices find each other, go by another communicator: train::Mpi.
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <memory>  // make_shared, shared_ptr
#include <span>
#include <string>
#include <type_traits>  // remove_reference
#include <utility>      // move

#include <dlfcn.h>

#include <graft/base/index.hpp>
#include <graft/base/require.hpp>
#include <graft/core/view.hpp>

namespace graft::backends::cuda {

/// The functions of NCCL that are called, as nccl.h (2.28) declares them, opened at run time: nothing is linked, and nobody who
/// has one device needs the library.
struct NcclLibrary {
  /// By it the processes of a group find each other.
  struct Id {
    std::array<char, 128> bytes;  ///< that NCCL alone reads
  };
  using Group = void*;                     ///< ncclComm_t
  using Stream = void*;                    ///< cudaStream_t
  static constexpr int float_numbers = 7;  ///< ncclFloat32
  static constexpr int add = 0;            ///< ncclSum

  int (*make_id)(Id*) = nullptr;                                                           ///< ncclGetUniqueId
  int (*join)(Group*, int, Id, int) = nullptr;                                             ///< ncclCommInitRank
  int (*leave)(Group) = nullptr;                                                           ///< ncclCommDestroy
  int (*begin_calls)() = nullptr;                                                          ///< ncclGroupStart
  int (*end_calls)() = nullptr;                                                            ///< ncclGroupEnd
  int (*all_reduce)(const void*, void*, std::size_t, int, int, Group, Stream) = nullptr;  ///< ncclAllReduce
  const char* (*say)(int) = nullptr;                                                       ///< ncclGetErrorString

  /// Opens it; cuda.005 where it is not found, or is no NCCL.
  [[nodiscard]] static NcclLibrary open(const char* name = "libnccl.so.2") {
    void* const library = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) {
      fail("cuda.005", "NCCL is not found: " + std::string(dlerror()) + " (add its folder to LD_LIBRARY_PATH)", name);
    }
    NcclLibrary opened;
    const auto find = [&](auto& function, const char* symbol) {
      function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(dlsym(library, symbol));
      if (function == nullptr) {
        fail("cuda.005", std::string("NCCL lacks ") + symbol, name);
      }
    };
    find(opened.make_id, "ncclGetUniqueId");
    find(opened.join, "ncclCommInitRank");
    find(opened.leave, "ncclCommDestroy");
    find(opened.begin_calls, "ncclGroupStart");
    find(opened.end_calls, "ncclGroupEnd");
    find(opened.all_reduce, "ncclAllReduce");
    find(opened.say, "ncclGetErrorString");
    return opened;
  }
  /// Fails by cuda.006 where NCCL did.
  void check(int status, const char* doing) const {
    if (status != 0) {
      fail("cuda.006", std::string("NCCL failed while ") + doing + ": " + say(status));
    }
  }
};

/// What Nccl asks of the communicator between processors: ranks, sums of a few numbers, and bytes that rank 0 gives to all.
template <class T>
concept between_processors = std::copy_constructible<T> && requires(T& host, std::span<double> numbers, std::span<std::byte> bytes) {
  { host.rank() } -> std::same_as<Index>;
  { host.size() } -> std::same_as<Index>;
  host.sum(numbers);
  host.broadcast(bytes);
};

/// A communicator, a model of train::communicator over Cuda. Every process has made its queue, on a device of its own, before.
/// All processes end with the same bits; their order in a sum is NCCL's affair.
template <between_processors Host>
class Nccl {
 public:
  /// Meets the others; a single process opens nothing.
  explicit Nccl(Host host) : host_(std::move(host)) {
    if (host_.size() > 1) {
      group_ = std::make_shared<Joined>(host_, NcclLibrary::open());
    }
  }
  /// The same by a library that has been opened.
  Nccl(Host host, const NcclLibrary& library) : host_(std::move(host)), group_(std::make_shared<Joined>(host_, library)) {}

  [[nodiscard]] Index rank() const { return host_.rank(); }  ///< this process
  [[nodiscard]] Index size() const { return host_.size(); }  ///< of so many
  /// Sums of gradients (float, without gaps) on the queue's stream, as one operation of NCCL; it waits until they are there.
  template <class B>
  void sum(const B& be, std::span<const View<float>> gradients) {
    if (group_ == nullptr) {
      return;
    }
    const NcclLibrary& nccl = group_->library;
    void* const stream = be.queue().stream();
    nccl.check(nccl.begin_calls(), "adding gradients");
    for (const View<float>& one : gradients) {
      nccl.check(nccl.all_reduce(one.data, one.data, static_cast<std::size_t>(one.size()), NcclLibrary::float_numbers,
                                 NcclLibrary::add, group_->group, stream),
                 "adding gradients");
    }
    nccl.check(nccl.end_calls(), "adding gradients");
    be.finish();
  }
  void sum(std::span<double> numbers) { host_.sum(numbers); }  ///< of what the processors hold

 private:
  struct Joined {
    Joined(Host& host, const NcclLibrary& opened) : library(opened) {
      NcclLibrary::Id id{};
      if (host.rank() == 0) {
        library.check(library.make_id(&id), "beginning a group");
      }
      host.broadcast(std::as_writable_bytes(std::span(id.bytes)));
      library.check(library.join(&group, static_cast<int>(host.size()), id, static_cast<int>(host.rank())),
                    "meeting the other processes");
    }
    ~Joined() { (void)library.leave(group); }
    Joined(const Joined&) = delete;
    Joined& operator=(const Joined&) = delete;

    NcclLibrary library;
    NcclLibrary::Group group = nullptr;
  };

  Host host_;
  std::shared_ptr<Joined> group_;  // null: a single process
};

}  // namespace graft::backends::cuda
