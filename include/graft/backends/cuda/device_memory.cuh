// SPDX-License-Identifier: Apache-2.0
// DeviceMemory: blocks of a device, counted.
#pragma once

#include <algorithm>  // max
#include <cstddef>
#include <map>
#include <mutex>
#include <string>

#include <graft/backends/cuda/cublas_lt.cuh>
#include <graft/base/require.hpp>

namespace graft::backends::cuda {

/// What this process has taken of its device. Blocks hold zeros; a device that has not enough is cuda.002.
class DeviceMemory {
 public:
  /// That the processor reaches, too: never more than is free.
  [[nodiscard]] static void* take_managed(std::size_t bytes) {
    return take(bytes, [](void** block, std::size_t n) { return cudaMallocManaged(block, n); });
  }
  /// The device's own.
  [[nodiscard]] static void* take_own(std::size_t bytes) {
    return take(bytes, [](void** block, std::size_t n) { return cudaMalloc(block, n); });
  }
  /// Waits for the device; null is nothing.
  static void give_back(void* block) {
    (void)cudaFree(block);  // at the end of a process there may be no device any more
    DeviceMemory& all = of_process();
    const std::scoped_lock lock(all.mutex_);
    if (const auto found = all.blocks_.find(block); found != all.blocks_.end()) {
      all.now_ -= found->second;
      all.blocks_.erase(found);
    }
  }
  /// Bytes that were taken at once at most.
  [[nodiscard]] static std::size_t peak() {
    DeviceMemory& all = of_process();
    const std::scoped_lock lock(all.mutex_);
    return all.peak_;
  }

 private:
  static DeviceMemory& of_process() {
    static auto* const all = new DeviceMemory;  // blocks are given back by destructors of statics, too
    return *all;
  }
  template <class Allocate>
  static void* take(std::size_t bytes, const Allocate& allocate) {
    std::size_t free_bytes = 0;
    std::size_t all_bytes = 0;
    check(cudaMemGetInfo(&free_bytes, &all_bytes), "asking for its memory");
    void* block = nullptr;
    if (bytes > free_bytes || allocate(&block, bytes) != cudaSuccess) {
      (void)cudaGetLastError();
      const auto in_mib = [](std::size_t n) { return std::to_string(n >> 20) + " MiB"; };
      fail("cuda.002", "the device has not enough memory: " + in_mib(bytes) + " were asked for, " + in_mib(free_bytes) +
                           " of " + in_mib(all_bytes) +
                           " are free (lower the batch or its length, recompute activations, or take a model in bf16)");
    }
    check(cudaMemset(block, 0, bytes), "clearing memory");  // which brings managed pages to the device
    check(cudaDeviceSynchronize(), "clearing memory");
    DeviceMemory& all = of_process();
    const std::scoped_lock lock(all.mutex_);
    all.blocks_[block] = bytes;
    all.now_ += bytes;
    all.peak_ = std::max(all.peak_, all.now_);
    return block;
  }

  std::mutex mutex_;
  std::map<void*, std::size_t> blocks_;
  std::size_t now_ = 0, peak_ = 0;
};

}  // namespace graft::backends::cuda
