// SPDX-License-Identifier: Apache-2.0
// HostQueue: runs the kernels of the CUDA backend on the processor: not when they are sent but when somebody waits, so that a
// missing finish() shows; by one thread a team, or by several that really meet at team.sync(). What comes again goes through
// the same Replay as on a device.
#pragma once

#include <barrier>
#include <cstring>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include <sys/mman.h>

#include <graft/backends/cuda.hpp>
#include <graft/backends/cuda/replay.hpp>
#include <graft/ops/gemm.hpp>

namespace graft::test {

/// One thread of a team that has a row to itself.
struct HostPart {
  [[nodiscard]] static bool leads() { return true; }
  template <class F>
  static void each(Index n, const F& f) {
    for (Index i = 0; i < n; ++i) {
      f(i);
    }
  }
  [[nodiscard]] static float total(float mine) { return mine; }
  template <class F>
  [[nodiscard]] static float sum(Index n, const F& f) {
    float sum = 0;
    each(n, [&](Index i) { sum += f(i); });
    return sum;
  }
  template <class F>
  [[nodiscard]] static float max(Index n, const F& f) {
    float largest = -INFINITY;
    each(n, [&](Index i) { largest = std::max(largest, f(i)); });
    return largest;
  }
};

/// What a team shares, beside its memory.
struct Meeting {
  explicit Meeting(Index size) : all(size), numbers(static_cast<std::size_t>(size)) {}
  std::barrier<> all;
  std::vector<double> numbers;  // one a thread
};

/// Thread `rank` of `size`.
struct HostTeam {
  std::byte* shared;
  Meeting* meeting;
  Index rank;
  Index size;

  template <class F>
  void each(Index n, const F& f) const {
    for (Index i = rank; i < n; i += size) {
      f(i);
    }
  }
  template <class F>
  void grid(Index n, Index m, const F& f) const {
    each(n, [&](Index i) {
      for (Index j = 0; j < m; ++j) {
        f(i, j);
      }
    });
  }
  void sync() const {
    if (size > 1) {
      meeting->all.arrive_and_wait();
    }
  }
  template <class F>
  [[nodiscard]] auto sum(Index n, const F& f) const {
    decltype(f(Index{0})) total = 0;
    each(n, [&](Index i) { total += f(i); });
    return over_all(total, [](auto a, auto b) { return a + b; });
  }
  template <class F>
  [[nodiscard]] float max(Index n, const F& f) const {
    float largest = -INFINITY;
    each(n, [&](Index i) { largest = std::max(largest, f(i)); });
    return over_all(largest, [](float a, float b) { return std::max(a, b); });
  }
  template <class F>
  void parts(Index n, const F& f) const {
    each(n, [&](Index i) { f(i, HostPart{}); });
  }
  template <class F>
  void warps(Index n, const F& f) const {
    parts(n, f);
  }
  template <class T>
  [[nodiscard]] T* memory(Index offset) const {
    return reinterpret_cast<T*>(shared + offset);
  }
  template <class A>
  void multiply(backends::cuda::Tile<float> c, backends::cuda::Tile<const A> a, backends::cuda::Tile<const A> b, Index m,
                Index n, Index k) const {
    grid(m, n, [&](Index i, Index j) { backends::cuda::add_dot(c, a, b, i, j, k); });
  }

 private:
  template <class T, class F>
  [[nodiscard]] T over_all(T mine, const F& both) const {
    if (size == 1) {
      return mine;
    }
    sync();  // nobody reads the last call's numbers any more
    meeting->numbers[static_cast<std::size_t>(rank)] = static_cast<double>(mine);
    sync();
    T total = static_cast<T>(meeting->numbers[0]);
    for (Index i = 1; i < size; ++i) {
      total = both(total, static_cast<T>(meeting->numbers[static_cast<std::size_t>(i)]));
    }
    return total;
  }
};

/// Stands where cuda::Queue stands; one at a time. The device of a Replay, too: a graph is the list of its calls.
class HostQueue {
 public:
  /// A call with its arguments, aligned for any kernel.
  struct Sent {
    backends::cuda::Call call;
    std::vector<std::max_align_t> arguments;
  };
  struct Graph {
    std::vector<Sent> calls;
    explicit operator bool() const { return !calls.empty(); }
  };

  explicit HostQueue(Index team_size = 1) : team_size_(team_size) {
    facts_.shared_bytes = 100 * 1024;
    current() = this;
    before_ = &use_memory(memory);
  }
  ~HostQueue() {
    finish();
    current() = nullptr;
    (void)use_memory(*before_);
  }
  HostQueue(const HostQueue&) = delete;
  HostQueue& operator=(const HostQueue&) = delete;

  template <class Kernel>
  void launch(const Kernel& kernel, Index tasks, Index threads, Index shared_bytes = 0) {
    require(threads % 32 == 0 && threads <= 1024 && shared_bytes <= facts_.shared_bytes, "cuda.003", "an impossible launch");
    ++launches;
    if (tasks > 0) {
      send({reinterpret_cast<const void*>(&run_kernel<Kernel>), true, tasks, threads, shared_bytes}, kernel);
    }
  }
  template <class A>
  void multiply(backends::cuda::Product which, float alpha, View<const A> a, View<const A> b, float beta, View<float> c,
                bool) {
    const auto run = which == backends::cuda::Product::nt   ? &run_product<A, backends::cuda::Product::nt>
                     : which == backends::cuda::Product::nn ? &run_product<A, backends::cuda::Product::nn>
                                                            : &run_product<A, backends::cuda::Product::tn>;
    send({reinterpret_cast<const void*>(run), false}, ProductOf<A>{a, b, c, alpha, beta});
  }

  // What a Replay asks for.
  void perform(const backends::cuda::Call& call, std::span<const std::byte> arguments) {
    (recorded_ ? *recorded_ : work_).push_back(sent(call, arguments));
  }
  void begin_recording() { recorded_.emplace(); }
  [[nodiscard]] Graph end_recording() { return {*std::exchange(recorded_, std::nullopt)}; }
  void exchange(Graph& graph, std::size_t n, const backends::cuda::Call& call, std::span<const std::byte> arguments) {
    ++exchanges;
    graph.calls[n] = sent(call, arguments);
  }
  void run(const Graph& graph) {
    ++graphs;
    work_.insert(work_.end(), graph.calls.begin(), graph.calls.end());
  }

  template <class T>
  [[nodiscard]] const std::remove_const_t<T>* put(std::span<T> list) {
    const std::scoped_lock lock(mutex_);
    auto copy = std::make_shared<std::vector<std::remove_const_t<T>>>(list.begin(), list.end());
    lists_.push_back(copy);
    if (lists_.size() > 4096) {
      finish();
      lists_.erase(lists_.begin(), lists_.begin() + 2048);  // what other threads put was sent long ago
    }
    return copy->data();
  }
  template <class T>
  [[nodiscard]] T* scratch(Index count) {
    const std::scoped_lock lock(mutex_);
    const std::size_t bytes = static_cast<std::size_t>(count) * sizeof(T);
    if (bytes > scratch_.size() * sizeof(std::max_align_t)) {
      finish();
      scratch_.resize(bytes / sizeof(std::max_align_t) + 1);
    }
    return reinterpret_cast<T*>(scratch_.data());
  }
  [[nodiscard]] double* answer() { return &answer_; }
  void finish() {
    const std::scoped_lock lock(mutex_);
    replay_.flush();
    const auto all = std::exchange(work_, {});
    if (!all.empty()) {
      protect(PROT_READ | PROT_WRITE);
      for (const Sent& one : all) {
        reinterpret_cast<void (*)(const HostQueue&, const Sent&)>(const_cast<void*>(one.call.what))(*this, one);
      }
      protect(PROT_NONE);
    }
    ++waits;
  }
  void begin_burst() { ++bursts_; }
  void end_burst() noexcept {
    if (--bursts_ == 0) {
      finish();
    }
  }
  [[nodiscard]] const backends::cuda::DeviceFacts& facts() const { return facts_; }

  bool replays = true;  // whether what comes again is sent as a graph
  Index launches = 0;   // kernels sent so far
  Index waits = 0;      // times that somebody waited
  Index graphs = 0;     // graphs sent so far
  Index exchanges = 0;  // calls of graphs that were given other arguments

 private:
  [[nodiscard]] static HostQueue*& current() {
    static HostQueue* queue = nullptr;
    return queue;
  }
  /// Blocks that only kernels reach: whoever touches one meanwhile ends with SIGSEGV.
  static std::map<void*, std::size_t>& private_blocks() {
    static std::map<void*, std::size_t> blocks;
    return blocks;
  }
  static void protect(int how) {
    for (const auto& [block, bytes] : private_blocks()) {
      require(mprotect(block, bytes, how) == 0, "cuda.003", "mprotect failed");
    }
  }
  /// As cudaFree does, giving back waits for what may be at work there.
  static void wait() {
    if (current() != nullptr) {
      current()->finish();
    }
  }
  static constexpr Memory memory{
      graft::detail::take_zeroed,
      [](void* block) {
        if (block != nullptr) {
          wait();
          graft::detail::give_back(block);
        }
      },
      [](std::size_t bytes) {
        void* const block = mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        require(block != MAP_FAILED, "cuda.002", "mmap failed");
        private_blocks()[block] = bytes;
        return block;
      },
      [](void* block) {
        wait();
        munmap(block, private_blocks().at(block));
        private_blocks().erase(block);
      },
      [](void* to, const void* from, std::size_t bytes) {
        protect(PROT_READ | PROT_WRITE);
        std::memcpy(to, from, bytes);
        protect(PROT_NONE);
      }};

  /// Without a gap, in which two equal products could differ.
  template <class A>
  struct ProductOf {
    View<const A> a, b;
    View<float> c;
    float alpha, beta;
  };

  template <class Arguments>
  void send(const backends::cuda::Call& call, Arguments with) {
    const std::scoped_lock lock(mutex_);
    backends::cuda::clear_gaps(with);
    const auto bytes = std::as_bytes(std::span(&with, 1));
    if (bursts_ > 0 && replays) {
      replay_.send(call, bytes);
      return;
    }
    perform(call, bytes);
    if (bursts_ == 0) {
      finish();
    }
  }
  static Sent sent(const backends::cuda::Call& call, std::span<const std::byte> arguments) {
    Sent one{call, std::vector<std::max_align_t>(arguments.size() / sizeof(std::max_align_t) + 1)};
    std::memcpy(one.arguments.data(), arguments.data(), arguments.size());
    return one;
  }
  template <class Kernel>
  static void run_kernel(const HostQueue& queue, const Sent& sent) {
    const Kernel& kernel = *reinterpret_cast<const Kernel*>(sent.arguments.data());
    const auto room = static_cast<std::size_t>(sent.call.shared_bytes);
    std::vector<std::max_align_t> shared(room / sizeof(std::max_align_t) + 1);
    auto* const bytes = reinterpret_cast<std::byte*>(shared.data());
    Meeting meeting(queue.team_size_);
    const auto run = [&](Index rank) {
      const HostTeam team{bytes, &meeting, rank, queue.team_size_};
      for (Index task = 0; task < sent.call.tasks; ++task) {
        kernel(team, task);
        team.sync();
      }
    };
    std::vector<std::jthread> others;
    for (Index rank = 1; rank < queue.team_size_; ++rank) {
      others.emplace_back(run, rank);
    }
    run(0);
  }
  template <class A, backends::cuda::Product which>
  static void run_product(const HostQueue&, const Sent& sent) {
    const auto& p = *reinterpret_cast<const ProductOf<A>*>(sent.arguments.data());
    if constexpr (which == backends::cuda::Product::nt) {
      ops::gemm_nt(p.alpha, p.a, p.b, p.beta, p.c);
    } else if constexpr (which == backends::cuda::Product::nn) {
      ops::gemm_nn(p.alpha, p.a, p.b, p.beta, p.c);
    } else {
      ops::gemm_tn(p.alpha, p.a, p.b, p.beta, p.c);
    }
  }

  const Memory* before_ = nullptr;
  std::recursive_mutex mutex_;  // selections send from several threads
  Index team_size_;
  backends::cuda::DeviceFacts facts_;
  std::vector<Sent> work_;
  std::optional<std::vector<Sent>> recorded_;
  backends::cuda::Replay<HostQueue> replay_{*this};
  std::deque<std::shared_ptr<const void>> lists_;
  std::vector<std::max_align_t> scratch_;
  double answer_ = 0;
  Index bursts_ = 0;
};

/// The CUDA backend without a device.
using CudaOnHost = backends::Accelerator<HostQueue>;

}  // namespace graft::test
