// SPDX-License-Identifier: Apache-2.0
// Queue: one CUDA device and the one stream of work that is sent to it. Plain C++: what is declared here is defined in
// kernels.cu, which nvcc compiles into graft::cuda.
#pragma once

#include <cstddef>
#include <memory>  // unique_ptr
#include <mutex>
#include <span>
#include <string>
#include <type_traits>  // remove_const

#include <graft/base/index.hpp>
#include <graft/core/bf16.hpp>
#include <graft/core/view.hpp>

namespace graft::backends::cuda {

/// Which of a product's operands stand transposed: c = a b', a b, a' b.
enum class Product { nt, nn, tn };

/// What a device is, and what of it is free.
struct DeviceFacts {
  std::string name;                ///< as its maker calls it
  std::size_t bytes = 0;           ///< of its memory
  std::size_t free_bytes = 0;      ///< nobody's now
  int compute_capability = 0;      ///< 90 for 9.0
  Index shared_bytes = 48 * 1024;  ///< that a team can have at most
};

/// Work is done in the order in which it is sent. Outside of a burst each call waits until it is done, so that whatever runs on
/// the processor next sees it; inside of one nothing waits but finish(). Tensors made after the first Queue lie in managed
/// memory, which both sides reach; arenas and the weights of a file lie in the device's own.
class Queue {
 public:
  /// Devices of this machine that a driver answers for.
  [[nodiscard]] static int count();
  /// Takes device `number`. None, or a driver that is too old, is cuda.001.
  explicit Queue(int number = 0);
  ~Queue();
  Queue(const Queue&) = delete;
  Queue& operator=(const Queue&) = delete;

  /// Runs kernel(team, task) for each task in [0, tasks), by teams of `threads`, which share `shared_bytes`. A kernel is
  /// instantiated in kernels.cu, or does not link.
  template <class Kernel>
  void launch(const Kernel& kernel, Index tasks, Index threads, Index shared_bytes = 0);

  /// c = alpha op(a) op(b) + beta c by cuBLASLt; fp32 operands are multiplied as they are, or as TF32 where `rounds`. @{
  void multiply(Product which, float alpha, View<const float> a, View<const float> b, float beta, View<float> c, bool rounds);
  void multiply(Product which, float alpha, View<const bf16> a, View<const bf16> b, float beta, View<float> c, bool rounds);
  /// @}

  /// A copy of a list where kernels that are sent from now on can read it.
  template <class T>
  [[nodiscard]] const std::remove_const_t<T>* put(std::span<T> list) {
    return static_cast<const T*>(put_bytes(list.data(), list.size_bytes()));
  }
  /// Where a kernel leaves a number that the processor reads after finish().
  [[nodiscard]] double* answer() const;
  /// Memory for intermediate results, until it is asked for again.
  template <class T>
  [[nodiscard]] T* scratch(Index count) {
    return static_cast<T*>(scratch_bytes(static_cast<std::size_t>(count) * sizeof(T)));
  }

  /// Waits until all that was sent is done. A failure of the device is cuda.003.
  void finish();
  /// Bursts nest, and belong to one thread.
  void begin_burst();
  /// The outermost one waits at its end; a failure then shows in the next call.
  void end_burst() noexcept;

  /// Whether what is sent between two waits, and comes again, is sent as one graph (replay.hpp). So it is unless told otherwise.
  void set_replay(bool on);

  /// Its cudaStream_t, with all that was sent on its way: what another library sends there comes after it.
  [[nodiscard]] void* stream();
  [[nodiscard]] const DeviceFacts& facts() const;  ///< of the device
  /// Memory of the device that this process has had at once at most: tensors, weights, arenas and what queues need.
  [[nodiscard]] static std::size_t peak_bytes();

 private:
  struct State;

  [[nodiscard]] const void* put_bytes(const void* list, std::size_t bytes);
  [[nodiscard]] void* scratch_bytes(std::size_t bytes);

  std::unique_ptr<State> state_;
};

/// What is sent to a queue while this lives runs without anybody waiting, until finish() or its end.
template <class Queue>
class Burst {
 public:
  /// Begins one.
  explicit Burst(Queue& queue) : queue_(queue) { queue_.begin_burst(); }
  ~Burst() { queue_.end_burst(); }
  Burst(const Burst&) = delete;
  Burst& operator=(const Burst&) = delete;

 private:
  Queue& queue_;
};

}  // namespace graft::backends::cuda
