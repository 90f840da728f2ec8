// SPDX-License-Identifier: Apache-2.0
// graft::cuda: the one file that nvcc compiles. The queue of queue.hpp on a stream, and every kernel that cuda.hpp sends.
#include <algorithm>  // min
#include <cstdint>
#include <cstring>  // memcpy
#include <exception>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>  // exchange
#include <vector>

#include <cuda_bf16.h>
#include <cuda_runtime.h>

#include <graft/backends/cuda/attention.cuh>
#include <graft/backends/cuda/device_memory.cuh>
#include <graft/backends/cuda/elementwise.cuh>
#include <graft/backends/cuda/graph.cuh>
#include <graft/backends/cuda/narrow.cuh>
#include <graft/backends/cuda/products.cuh>
#include <graft/backends/cuda/queue.hpp>
#include <graft/backends/cuda/replay.hpp>
#include <graft/backends/cuda/rows.cuh>
#include <graft/backends/cuda/selections.cuh>
#include <graft/backends/cuda/sums.cuh>
#include <graft/backends/cuda/team.cuh>
#include <graft/base/require.hpp>
#include <graft/core/memory.hpp>

namespace graft::backends::cuda {

namespace {

// Several threads may send at once (attach makes modules so), but one only what takes scratch: sums over rows.
constexpr std::size_t ring_bytes = std::size_t{32} << 20;  // lists that kernels still to run may read

template <class Kernel>
__global__ void carry(const __grid_constant__ Kernel kernel, Index tasks) {
  extern __shared__ __align__(128) std::byte shared[];
  const DeviceTeam team{shared};
  for (Index task = blockIdx.x; task < tasks; task += gridDim.x) {
    kernel(team, task);
    __syncthreads();
  }
}

}  // namespace

/// The device of a Replay, too.
struct Queue::State {
  using Graph = cuda::Graph;

  std::recursive_mutex mutex;
  DeviceFacts facts;
  cudaStream_t stream = nullptr;
  void* workspace = nullptr;
  std::optional<Products> products;
  std::byte* ring = nullptr;
  std::size_t ring_used = 0;
  std::size_t ring_size = 0;
  double* answer = nullptr;
  void* scratch = nullptr;
  std::size_t scratch_size = 0;
  int bursts = 0;
  bool replays = true;
  std::optional<std::vector<cudaGraphNode_t>> recorded;  // while a graph is recorded: the last node of each call
  Replay<State> replay{*this};
  std::exception_ptr failure;  // where nothing could be thrown

  // --- what a Replay asks for ---

  void perform(const Call& call, std::span<const std::byte> arguments) {
    if (call.is_kernel) {
      const Launch launch(call, arguments);
      check(cudaLaunchKernel(call.what, launch.node.gridDim, launch.node.blockDim, launch.node.kernelParams,
                             launch.node.sharedMemBytes, stream),
            "running a kernel");
    } else {
      ProductArguments with;
      std::memcpy(&with, arguments.data(), sizeof with);
      products->multiply(*static_cast<const Plan*>(call.what), with, stream);
    }
    if (recorded) {
      recorded->push_back(Graph::last_of(stream));
    }
  }
  void begin_recording() {
    check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeRelaxed), "recording a step");
    recorded.emplace();
  }
  Graph end_recording() {
    std::vector<cudaGraphNode_t> nodes = std::move(*recorded);
    recorded.reset();
    return Graph(stream, std::move(nodes));
  }
  void exchange(Graph& graph, std::size_t n, const Call& call, std::span<const std::byte> arguments) {
    graph.exchange(n, Launch(call, arguments).node);
  }
  void run(const Graph& graph) { graph.run(stream); }

  /// What CUDA wants to know of a kernel: carry(kernel, tasks).
  struct Launch {
    void* parameters[2];
    cudaKernelNodeParams node{};

    Launch(const Call& call, std::span<const std::byte> arguments)
        : parameters{const_cast<std::byte*>(arguments.data()), const_cast<Index*>(&call.tasks)} {
      node.func = const_cast<void*>(call.what);
      node.gridDim = dim3(static_cast<unsigned>(std::min(call.tasks, Index{1} << 30)));
      node.blockDim = dim3(static_cast<unsigned>(call.threads));
      node.sharedMemBytes = static_cast<unsigned>(call.shared_bytes);
      node.kernelParams = parameters;
    }
    Launch(const Launch&) = delete;
    Launch& operator=(const Launch&) = delete;
  };

  // --- sending ---

#if defined(NDEBUG)
  static constexpr bool each_waits = false;
#else
  static constexpr bool each_waits = true;  // so that a failure names its own call
#endif

  /// Outside of a burst a call waits.
  template <class Arguments>
  void send(const Call& call, Arguments with) {
    clear_gaps(with);
    const auto arguments = std::as_bytes(std::span(&with, 1));
    const bool waits = each_waits || bursts == 0;
    if (replays && !waits) {
      replay.send(call, arguments);
      return;
    }
    perform(call, arguments);
    if (waits) {
      finish();
    }
  }
  void finish() {
    if (failure) {
      std::rethrow_exception(std::exchange(failure, nullptr));
    }
    replay.flush();
    check(cudaStreamSynchronize(stream), "running what was sent");
  }
  /// For destructors: a failure shows in the next call that waits.
  void finish_quietly() noexcept {
    try {
      finish();
    } catch (...) {
      failure = std::current_exception();
    }
  }
  void make_ring(std::size_t bytes) {
    (void)cudaFreeHost(ring);
    ring_size = bytes;
    check(cudaHostAlloc(&ring, bytes, cudaHostAllocMapped | cudaHostAllocPortable), "taking pinned memory");
  }

  template <class A>
  void multiply(Product which, float alpha, View<const A> a, View<const A> b, float beta, View<float> c, bool rounds) {
    const std::scoped_lock lock(mutex);
    send({&products->plan(which, a, b, c, rounds), false}, ProductArguments{a.data, b.data, c.data, alpha, beta});
  }

  // --- memory ---

  /// All of this process.
  static std::set<State*>& all() {
    static auto* const queues = new std::set<State*>;  // blocks are given back by destructors of statics, too
    return *queues;
  }
  /// Whoever gives memory back may have sent work that uses it, and that has not even begun.
  static void give_back(void* block) {
    for (State* const one : all()) {
      const std::scoped_lock lock(one->mutex);
      if (one->bursts > 0) {
        one->finish_quietly();
      }
    }
    DeviceMemory::give_back(block);
  }
  static void fill(void* to, const void* from, std::size_t bytes) {
    check(cudaMemcpy(to, from, bytes, cudaMemcpyDefault), "copying weights");
  }
  static constexpr Memory memory{DeviceMemory::take_managed, give_back, DeviceMemory::take_own, give_back, fill};
};

int Queue::count() {
  int devices = 0;
  return cudaGetDeviceCount(&devices) == cudaSuccess ? devices : 0;
}

Queue::Queue(int number) : state_(std::make_unique<State>()) {
  int devices = 0;
  const cudaError_t status = cudaGetDeviceCount(&devices);
  if (status != cudaSuccess || number < 0 || number >= devices) {
    fail("cuda.001", "no CUDA device " + std::to_string(number) + ": " +
                         (status != cudaSuccess ? std::string(cudaGetErrorString(status))
                                                : "this machine has " + std::to_string(devices)) +
                         " (--device cpu computes on the processor)");
  }
  State& s = *state_;
  check(cudaSetDevice(number), "being chosen");
  cudaDeviceProp properties{};
  check(cudaGetDeviceProperties(&properties, number), "describing itself");
  s.facts.name = properties.name;
  s.facts.bytes = properties.totalGlobalMem;
  s.facts.compute_capability = 10 * properties.major + properties.minor;
  s.facts.shared_bytes = static_cast<Index>(properties.sharedMemPerBlockOptin);
  if (properties.major < 8 || properties.concurrentManagedAccess == 0) {
    fail("cuda.001", "the device " + s.facts.name + " is of compute capability " + std::to_string(properties.major) + "." +
                         std::to_string(properties.minor) +
                         ", expected at least 8.0 and memory that the processor reaches while it works (--device cpu "
                         "computes on the processor)");
  }
  std::size_t all_bytes = 0;
  check(cudaMemGetInfo(&s.facts.free_bytes, &all_bytes), "asking for its memory");
  check(cudaStreamCreateWithFlags(&s.stream, cudaStreamNonBlocking), "making a stream");
  s.workspace = DeviceMemory::take_own(Products::workspace_bytes);
  s.products.emplace(s.workspace);
  s.make_ring(ring_bytes);
  check(cudaHostAlloc(&s.answer, sizeof(double), cudaHostAllocMapped | cudaHostAllocPortable), "taking pinned memory");
  State::all().insert(&s);
  (void)use_memory(State::memory);
}

Queue::~Queue() {
  State& s = *state_;  // destruction reports nothing: what failed has been said by finish()
  State::all().erase(&s);
  if (s.stream != nullptr) {
    s.finish_quietly();
  }
  s.products.reset();
  DeviceMemory::give_back(s.workspace);
  DeviceMemory::give_back(s.scratch);
  (void)cudaFreeHost(s.ring);
  (void)cudaFreeHost(s.answer);
  if (s.stream != nullptr) {
    (void)cudaStreamDestroy(s.stream);
  }
}

template <class Kernel>
void Queue::launch(const Kernel& kernel, Index tasks, Index threads, Index shared_bytes) {
  if (tasks == 0) {
    return;
  }
  const std::scoped_lock lock(state_->mutex);
  if (shared_bytes > 48 * 1024) {
    check(cudaFuncSetAttribute(carry<Kernel>, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shared_bytes)),
          "sharing memory");
  }
  state_->send({reinterpret_cast<const void*>(&carry<Kernel>), true, tasks, threads, shared_bytes}, kernel);
}

void Queue::multiply(Product which, float alpha, View<const float> a, View<const float> b, float beta, View<float> c,
                     bool rounds) {
  state_->multiply(which, alpha, a, b, beta, c, rounds);
}
void Queue::multiply(Product which, float alpha, View<const bf16> a, View<const bf16> b, float beta, View<float> c,
                     bool rounds) {
  state_->multiply(which, alpha, a, b, beta, c, rounds);
}

const void* Queue::put_bytes(const void* list, std::size_t bytes) {
  const std::scoped_lock lock(state_->mutex);
  State& s = *state_;
  const std::size_t room = (bytes + 15) / 16 * 16;
  if (s.ring_used + room > s.ring_size) {
    s.finish();
    s.ring_used = 0;  // what another thread has put but not sent stands at the end, and is safe for a whole round
    if (room > s.ring_size) {
      s.make_ring(2 * room);
    }
  }
  std::byte* const at = s.ring + s.ring_used;
  s.ring_used += room;
  std::memcpy(at, list, bytes);
  return at;
}

void* Queue::scratch_bytes(std::size_t bytes) {
  const std::scoped_lock lock(state_->mutex);
  State& s = *state_;
  if (bytes > s.scratch_size) {
    s.finish();
    DeviceMemory::give_back(std::exchange(s.scratch, nullptr));
    s.scratch = DeviceMemory::take_own(bytes + bytes / 2);
    s.scratch_size = bytes + bytes / 2;
  }
  return s.scratch;
}

void Queue::finish() {
  const std::scoped_lock lock(state_->mutex);
  state_->finish();
}
void Queue::begin_burst() {
  const std::scoped_lock lock(state_->mutex);
  if (++state_->bursts == 1) {
    state_->ring_used = 0;  // lists of a step that comes again stand where they stood
  }
}
void Queue::end_burst() noexcept {
  const std::scoped_lock lock(state_->mutex);
  if (--state_->bursts == 0) {
    state_->finish_quietly();
  }
}
void Queue::set_replay(bool on) {
  const std::scoped_lock lock(state_->mutex);
  state_->replay.flush();
  state_->replays = on;
}
void* Queue::stream() {
  const std::scoped_lock lock(state_->mutex);
  state_->replay.flush();
  return state_->stream;
}
std::size_t Queue::peak_bytes() {
  return DeviceMemory::peak();
}
double* Queue::answer() const {
  return state_->answer;
}
const DeviceFacts& Queue::facts() const {
  return state_->facts;
}

// --- what cuda.hpp sends ----------------------------------------------------------------------------------------------

template void Queue::launch(const ForEach<Copy<float, float>>&, Index, Index, Index);
template void Queue::launch(const ForEach<Copy<float, bf16>>&, Index, Index, Index);
template void Queue::launch(const ForEach<Copy<bf16, float>>&, Index, Index, Index);
template void Queue::launch(const ForEach<Copy<bf16, bf16>>&, Index, Index, Index);
template void Queue::launch(const ForEach<Copy<double, float>>&, Index, Index, Index);
template void Queue::launch(const ForEach<Fill>&, Index, Index, Index);
template void Queue::launch(const ForEach<Add>&, Index, Index, Index);
template void Queue::launch(const ForEach<Scale>&, Index, Index, Index);
template void Queue::launch(const ForEach<AddBias<float>>&, Index, Index, Index);
template void Queue::launch(const ForEach<AddBias<bf16>>&, Index, Index, Index);
template void Queue::launch(const ForEach<MultiplyColumns>&, Index, Index, Index);
template void Queue::launch(const ForEach<RescaleColumns>&, Index, Index, Index);
template void Queue::launch(const ForEach<MultiplyRows>&, Index, Index, Index);
template void Queue::launch(const ForEach<Invert>&, Index, Index, Index);
template void Queue::launch(const ForEach<Activate>&, Index, Index, Index);
template void Queue::launch(const ForEach<ActivateVjp>&, Index, Index, Index);
template void Queue::launch(const ForEach<Gate>&, Index, Index, Index);
template void Queue::launch(const ForEach<GateVjp>&, Index, Index, Index);
template void Queue::launch(const ForEach<Dropout>&, Index, Index, Index);
template void Queue::launch(const ForEach<KeepColumns>&, Index, Index, Index);
template void Queue::launch(const ForEach<Rotations>&, Index, Index, Index);
template void Queue::launch(const ForEach<Rope>&, Index, Index, Index);
template void Queue::launch(const ForEach<AdamW>&, Index, Index, Index);
template void Queue::launch(const ForEach<AddParts>&, Index, Index, Index);
template void Queue::launch(const ForEach<GatherRows<Index, float>>&, Index, Index, Index);
template void Queue::launch(const ForEach<GatherRows<Index, bf16>>&, Index, Index, Index);
template void Queue::launch(const ForEach<GatherRows<std::int32_t, float>>&, Index, Index, Index);
template void Queue::launch(const ForEach<GatherRows<std::int32_t, bf16>>&, Index, Index, Index);
template void Queue::launch(const ForEach<GatherColumns<Index, float>>&, Index, Index, Index);
template void Queue::launch(const ForEach<GatherColumns<Index, bf16>>&, Index, Index, Index);
template void Queue::launch(const ForEach<GatherColumns<std::int32_t, float>>&, Index, Index, Index);
template void Queue::launch(const ForEach<GatherColumns<std::int32_t, bf16>>&, Index, Index, Index);
template void Queue::launch(const ForEach<ScatterRows<Index>>&, Index, Index, Index);
template void Queue::launch(const ForEach<ScatterRows<std::int32_t>>&, Index, Index, Index);
template void Queue::launch(const ForEach<ScatterAddRows<Index>>&, Index, Index, Index);
template void Queue::launch(const ForEach<ScatterAddRows<std::int32_t>>&, Index, Index, Index);
template void Queue::launch(const ForEach<ScatterAddColumns<Index>>&, Index, Index, Index);
template void Queue::launch(const ForEach<ScatterAddColumns<std::int32_t>>&, Index, Index, Index);
template void Queue::launch(const RmsNorm<float>&, Index, Index, Index);
template void Queue::launch(const RmsNormVjp<float>&, Index, Index, Index);
template void Queue::launch(const InverseRms&, Index, Index, Index);
template void Queue::launch(const CrossEntropy&, Index, Index, Index);
template void Queue::launch(const PartialColumnSums<ColumnTerm>&, Index, Index, Index);
template void Queue::launch(const PartialColumnSums<DotTerm>&, Index, Index, Index);
template void Queue::launch(const PartialColumnSums<GainTerm>&, Index, Index, Index);
template void Queue::launch(const RowDots&, Index, Index, Index);
template void Queue::launch(const RowSquares&, Index, Index, Index);
template void Queue::launch(const RowNorms&, Index, Index, Index);
template void Queue::launch(const Total&, Index, Index, Index);
template void Queue::launch(const InverseRoot&, Index, Index, Index);
template void Queue::launch(const AttentionDelta&, Index, Index, Index);
template void Queue::launch(const NarrowNt<float>&, Index, Index, Index);
template void Queue::launch(const NarrowNt<bf16>&, Index, Index, Index);
template void Queue::launch(const Attention<float>&, Index, Index, Index);
template void Queue::launch(const Attention<bf16>&, Index, Index, Index);
template void Queue::launch(const AttentionQueryVjp<float>&, Index, Index, Index);
template void Queue::launch(const AttentionQueryVjp<bf16>&, Index, Index, Index);
template void Queue::launch(const AttentionKeyVjp<float>&, Index, Index, Index);
template void Queue::launch(const AttentionKeyVjp<bf16>&, Index, Index, Index);

}  // namespace graft::backends::cuda
