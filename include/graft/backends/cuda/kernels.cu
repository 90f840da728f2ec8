// SPDX-License-Identifier: Apache-2.0
// graft::cuda: the one file that nvcc compiles. The queue of queue.hpp on a stream, products by cuBLASLt, and every kernel that
// cuda.hpp sends.
#include <array>
#include <cstdint>
#include <cstring>  // memcpy
#include <map>
#include <mutex>
#include <string>

#include <cublasLt.h>
#include <cuda_bf16.h>
#include <cuda_runtime.h>

#include <graft/backends/cuda/attention.cuh>
#include <graft/backends/cuda/cublas_lt.cuh>
#include <graft/backends/cuda/elementwise.cuh>
#include <graft/backends/cuda/queue.hpp>
#include <graft/backends/cuda/rows.cuh>
#include <graft/backends/cuda/selections.cuh>
#include <graft/backends/cuda/sums.cuh>
#include <graft/backends/cuda/team.cuh>
#include <graft/base/require.hpp>
#include <graft/core/memory.hpp>

namespace graft::backends::cuda {

namespace {

// Several threads may send at once (attach makes modules so), but one only what takes scratch: sums over rows.
constexpr std::size_t ring_bytes = std::size_t{32} << 20;       // lists that kernels still to run may read
constexpr std::size_t workspace_bytes = std::size_t{32} << 20;  // what cuBLAS advises for Hopper

std::string in_mib(std::size_t bytes) {
  return std::to_string(bytes >> 20) + " MiB";
}

// --- memory -----------------------------------------------------------------------------------------------------------

template <class Allocate>
void* take_zeros(std::size_t bytes, const Allocate& allocate) {
  std::size_t free_bytes = 0;
  std::size_t all_bytes = 0;
  check(cudaMemGetInfo(&free_bytes, &all_bytes), "asking for its memory");
  void* block = nullptr;
  if (bytes > free_bytes || allocate(&block, bytes) != cudaSuccess) {  // never more managed memory than is free
    (void)cudaGetLastError();
    fail("cuda.002", "the device has not enough memory: " + in_mib(bytes) + " were asked for, " + in_mib(free_bytes) +
                         " of " + in_mib(all_bytes) +
                         " are free (lower the batch or its length, recompute activations, or take a model in bf16)");
  }
  check(cudaMemset(block, 0, bytes), "clearing memory");  // which brings managed pages to the device
  check(cudaDeviceSynchronize(), "clearing memory");
  return block;
}
void* take_managed(std::size_t bytes) {
  return take_zeros(bytes, [](void** block, std::size_t n) { return cudaMallocManaged(block, n); });
}
void* take_own(std::size_t bytes) {
  return take_zeros(bytes, [](void** block, std::size_t n) { return cudaMalloc(block, n); });
}
void give_back(void* block) {
  (void)cudaFree(block);  // waits for the device; at the end of a process there may be none any more
}
void fill(void* to, const void* from, std::size_t bytes) {
  check(cudaMemcpy(to, from, bytes, cudaMemcpyDefault), "copying weights");
}
constexpr Memory device_memory{take_managed, give_back, take_own, give_back, fill};

// --- kernels ----------------------------------------------------------------------------------------------------------

template <class Kernel>
__global__ void carry(const __grid_constant__ Kernel kernel, Index tasks) {
  extern __shared__ __align__(128) std::byte shared[];
  const DeviceTeam team{shared};
  for (Index task = blockIdx.x; task < tasks; task += gridDim.x) {
    kernel(team, task);
    __syncthreads();
  }
}

/// What cuBLASLt needs to know of a product that it has met before.
struct Plan {
  cublasLtMatmulDesc_t product = nullptr;
  cublasLtMatrixLayout_t left = nullptr, right = nullptr, result = nullptr;
  cublasLtMatmulAlgo_t algorithm{};
};

/// The largest power of two up to 16 that divides an address.
Index alignment_of(const void* pointer) {
  const auto address = reinterpret_cast<std::uintptr_t>(pointer);
  return static_cast<Index>(address % 16 == 0 ? 16 : address & (~address + 1) & 15);
}

}  // namespace

struct Queue::State {
  std::recursive_mutex mutex;
  DeviceFacts facts;
  cudaStream_t stream = nullptr;
  cublasLtHandle_t products = nullptr;
  void* workspace = nullptr;
  std::byte* ring = nullptr;
  std::size_t ring_used = 0;
  std::size_t ring_size = 0;
  double* answer = nullptr;
  void* scratch = nullptr;
  std::size_t scratch_size = 0;
  int bursts = 0;
  std::map<std::array<Index, 12>, Plan> plans;

  /// Outside of a burst a call waits; in a debug build every call does, so that it names its own failure.
  void sent(const char* doing) {
    check(cudaGetLastError(), doing);
#if !defined(NDEBUG)
    check(cudaStreamSynchronize(stream), doing);
#endif
    if (bursts == 0) {
      finish();
    }
  }
  void finish() {
    check(cudaStreamSynchronize(stream), "running what was sent");
  }
  void make_ring(std::size_t bytes) {
    (void)cudaFreeHost(ring);
    ring_size = bytes;
    check(cudaHostAlloc(&ring, bytes, cudaHostAllocMapped | cudaHostAllocPortable), "taking pinned memory");
  }

  const Plan& plan(Product which, Index rows, Index cols, Index depth, cudaDataType_t type, bool rounds,
                   const std::array<Index, 3>& strides, const std::array<Index, 3>& aligned) {
    const std::array<Index, 12> key = {static_cast<Index>(which), rows,       cols,       depth,      type,       rounds,
                                       strides[0],                strides[1], strides[2], aligned[0], aligned[1], aligned[2]};
    const auto found = plans.find(key);
    if (found != plans.end()) {
      return found->second;
    }
    // cuBLAS counts by columns, where c(M,N) is (N,M): so c' = op(b)' op(a)', and b is its left operand.
    Plan made;
    const cublasComputeType_t compute =
        type == CUDA_R_32F && rounds ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F;
    const cublasOperation_t turn_b = which == Product::nt ? CUBLAS_OP_T : CUBLAS_OP_N;
    const cublasOperation_t turn_a = which == Product::tn ? CUBLAS_OP_T : CUBLAS_OP_N;
    const auto extent = [](Index n) { return static_cast<std::uint64_t>(n); };
    check(cublas().create_product(&made.product, compute, CUDA_R_32F), "describing a product");
    check(cublas().set_product(made.product, CUBLASLT_MATMUL_DESC_TRANSA, &turn_b, sizeof turn_b),
          "describing a product");
    check(cublas().set_product(made.product, CUBLASLT_MATMUL_DESC_TRANSB, &turn_a, sizeof turn_a),
          "describing a product");
    check(cublas().create_matrix(&made.left, type, extent(which == Product::nt ? depth : cols),
                                     extent(which == Product::nt ? cols : depth), strides[1]),
          "describing a matrix");
    check(cublas().create_matrix(&made.right, type, extent(which == Product::tn ? rows : depth),
                                     extent(which == Product::tn ? depth : rows), strides[0]),
          "describing a matrix");
    check(cublas().create_matrix(&made.result, CUDA_R_32F, extent(cols), extent(rows), strides[2]),
          "describing a matrix");
    cublasLtMatmulPreference_t wishes = nullptr;
    check(cublas().create_wishes(&wishes), "choosing a product");
    const auto wish = [&](cublasLtMatmulPreferenceAttributes_t name, const auto& value) {
      check(cublas().set_wish(wishes, name, &value, sizeof value), "choosing a product");
    };
    wish(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, workspace_bytes);
    wish(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, static_cast<std::uint32_t>(aligned[1]));
    wish(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, static_cast<std::uint32_t>(aligned[0]));
    wish(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, static_cast<std::uint32_t>(aligned[2]));
    wish(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, static_cast<std::uint32_t>(aligned[2]));
    cublasLtMatmulHeuristicResult_t best{};
    int count = 0;
    const cublasStatus_t status = cublas().choose(products, made.product, made.left, made.right,
                                                                 made.result, made.result, wishes, 1, &best, &count);
    check(cublas().destroy_wishes(wishes), "choosing a product");
    check(count > 0 ? status : CUBLAS_STATUS_NOT_SUPPORTED, "choosing a product");
    made.algorithm = best.algo;
    return plans.emplace(key, made).first->second;
  }

  template <class A>
  void multiply(Product which, float alpha, View<const A> a, View<const A> b, float beta, View<float> c, bool rounds) {
    const std::scoped_lock lock(mutex);
    constexpr cudaDataType_t type = sizeof(A) == 2 ? CUDA_R_16BF : CUDA_R_32F;
    const std::array<Index, 3> strides{a.stride, b.stride, c.stride};
    const std::array<Index, 3> aligned{alignment_of(a.data), alignment_of(b.data), alignment_of(c.data)};
    const Plan& how = plan(which, c.rows, c.cols, which == Product::tn ? a.rows : a.cols, type, rounds, strides, aligned);
    check(cublas().multiply(products, how.product, &alpha, b.data, how.left, a.data, how.right, &beta, c.data, how.result,
                         c.data, how.result, &how.algorithm, workspace, workspace_bytes, stream),
          "multiplying");
    sent("multiplying");
  }
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
  check(cublas().create(&s.products), "starting");
  check(cudaMalloc(&s.workspace, workspace_bytes), "taking memory for products");
  s.make_ring(ring_bytes);
  check(cudaHostAlloc(&s.answer, sizeof(double), cudaHostAllocMapped | cudaHostAllocPortable), "taking pinned memory");
  (void)use_memory(device_memory);
}

Queue::~Queue() {
  State& s = *state_;  // destruction reports nothing: what failed has been said by finish()
  if (s.stream != nullptr) {
    (void)cudaStreamSynchronize(s.stream);
  }
  for (auto& [key, made] : s.plans) {
    (void)cublas().destroy_product(made.product);
    (void)cublas().destroy_matrix(made.left);
    (void)cublas().destroy_matrix(made.right);
    (void)cublas().destroy_matrix(made.result);
  }
  (void)cudaFree(s.workspace);
  (void)cudaFree(s.scratch);
  (void)cudaFreeHost(s.ring);
  (void)cudaFreeHost(s.answer);
  if (s.products != nullptr) {
    (void)cublas().destroy(s.products);
  }
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
  const auto blocks = static_cast<unsigned>(tasks < (Index{1} << 30) ? tasks : Index{1} << 30);
  carry<<<blocks, static_cast<unsigned>(threads), static_cast<std::size_t>(shared_bytes), state_->stream>>>(kernel, tasks);
  state_->sent("running a kernel");
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
    (void)cudaFree(s.scratch);
    s.scratch = take_own(bytes + bytes / 2);
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
  ++state_->bursts;
}
void Queue::end_burst() noexcept {
  const std::scoped_lock lock(state_->mutex);
  if (--state_->bursts == 0) {
    (void)cudaStreamSynchronize(state_->stream);
  }
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
template void Queue::launch(const Attention<float>&, Index, Index, Index);
template void Queue::launch(const Attention<bf16>&, Index, Index, Index);
template void Queue::launch(const AttentionQueryVjp<float>&, Index, Index, Index);
template void Queue::launch(const AttentionQueryVjp<bf16>&, Index, Index, Index);
template void Queue::launch(const AttentionKeyVjp<float>&, Index, Index, Index);
template void Queue::launch(const AttentionKeyVjp<bf16>&, Index, Index, Index);

}  // namespace graft::backends::cuda
