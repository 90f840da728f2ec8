// SPDX-License-Identifier: Apache-2.0
// Graph: calls that were recorded from a stream, to be sent as one.
#pragma once

#include <cstddef>
#include <utility>  // exchange
#include <vector>

#include <graft/backends/cuda/cublas_lt.cuh>

namespace graft::backends::cuda {

/// Empty, or what a device runs at one word.
class Graph {
 public:
  Graph() = default;
  /// What the stream has recorded since cudaStreamBeginCapture; `nodes` are the last ones of each call.
  Graph(cudaStream_t stream, std::vector<cudaGraphNode_t> nodes) : nodes_(std::move(nodes)) {
    check(cudaStreamEndCapture(stream, &recorded_), "recording a step");
    const cudaError_t status = cudaGraphInstantiate(&ready_, recorded_, 0);
    if (status != cudaSuccess) {
      (void)cudaGraphDestroy(recorded_);
      check(status, "making a graph of a step");
    }
  }
  Graph(Graph&& other) noexcept
      : recorded_(std::exchange(other.recorded_, nullptr)),
        ready_(std::exchange(other.ready_, nullptr)),
        nodes_(std::move(other.nodes_)) {}
  Graph& operator=(Graph&& other) noexcept {
    std::swap(recorded_, other.recorded_);
    std::swap(ready_, other.ready_);
    std::swap(nodes_, other.nodes_);
    return *this;
  }
  ~Graph() {  // reports nothing: what failed has been said
    if (ready_ != nullptr) {
      (void)cudaGraphExecDestroy(ready_);
      (void)cudaGraphDestroy(recorded_);
    }
  }

  explicit operator bool() const { return ready_ != nullptr; }  ///< whether there is one

  /// Call n becomes this launch of the same kernel.
  void exchange(std::size_t n, const cudaKernelNodeParams& launch) {
    check(cudaGraphExecKernelNodeSetParams(ready_, nodes_[n], &launch), "exchanging the arguments of a kernel");
  }
  /// Sends all calls, in their order.
  void run(cudaStream_t stream) const { check(cudaGraphLaunch(ready_, stream), "running a graph"); }

  /// The node that a stream has recorded last.
  [[nodiscard]] static cudaGraphNode_t last_of(cudaStream_t stream) {
    cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
    const cudaGraphNode_t* last = nullptr;
    std::size_t count = 0;
#if CUDART_VERSION >= 13000
    check(cudaStreamGetCaptureInfo(stream, &status, nullptr, nullptr, &last, nullptr, &count), "recording a step");
#else
    check(cudaStreamGetCaptureInfo_v2(stream, &status, nullptr, nullptr, &last, &count), "recording a step");
#endif
    return count > 0 ? last[count - 1] : nullptr;
  }

 private:
  cudaGraph_t recorded_ = nullptr;
  cudaGraphExec_t ready_ = nullptr;
  std::vector<cudaGraphNode_t> nodes_;
};

}  // namespace graft::backends::cuda
