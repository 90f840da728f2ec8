// SPDX-License-Identifier: Apache-2.0
// HostQueue: runs the kernels of the CUDA backend on the processor: not when they are sent but when somebody waits, so that a
// missing finish() shows; by one thread a team, or by several that really meet at team.sync().
#pragma once

#include <barrier>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include <sys/mman.h>

#include <graft/backends/cuda.hpp>
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
  template <class F>
  [[nodiscard]] static float sum(Index n, const F& f) {
    float total = 0;
    each(n, [&](Index i) { total += f(i); });
    return total;
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

/// Stands where cuda::Queue stands; one at a time.
class HostQueue {
 public:
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
    send([this, kernel, tasks, shared_bytes] {
      std::vector<std::max_align_t> shared(static_cast<std::size_t>(shared_bytes) / sizeof(std::max_align_t) + 1);
      auto* const bytes = reinterpret_cast<std::byte*>(shared.data());
      Meeting meeting(team_size_);
      const auto run = [&](Index rank) {
        const HostTeam team{bytes, &meeting, rank, team_size_};
        for (Index task = 0; task < tasks; ++task) {
          kernel(team, task);
          team.sync();
        }
      };
      std::vector<std::jthread> others;
      for (Index rank = 1; rank < team_size_; ++rank) {
        others.emplace_back(run, rank);
      }
      run(0);
    });
  }
  template <class A>
  void multiply(backends::cuda::Product which, float alpha, View<const A> a, View<const A> b, float beta, View<float> c,
                bool) {
    send([=] {
      switch (which) {
        case backends::cuda::Product::nt: ops::gemm_nt(alpha, a, b, beta, c); break;
        case backends::cuda::Product::nn: ops::gemm_nn(alpha, a, b, beta, c); break;
        case backends::cuda::Product::tn: ops::gemm_tn(alpha, a, b, beta, c); break;
      }
    });
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
    const auto sent = std::exchange(work_, {});
    if (!sent.empty()) {
      protect(PROT_READ | PROT_WRITE);
      for (const auto& work : sent) {
        work();
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

  Index launches = 0;  // kernels sent so far
  Index waits = 0;     // times that somebody waited

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

  template <class Work>
  void send(Work&& work) {
    const std::scoped_lock lock(mutex_);
    work_.emplace_back(std::forward<Work>(work));
    if (bursts_ == 0) {
      finish();
    }
  }
  const Memory* before_ = nullptr;
  std::recursive_mutex mutex_;  // selections send from several threads
  Index team_size_;
  backends::cuda::DeviceFacts facts_;
  std::vector<std::function<void()>> work_;
  std::deque<std::shared_ptr<const void>> lists_;
  std::vector<std::max_align_t> scratch_;
  double answer_ = 0;
  Index bursts_ = 0;
};

/// The CUDA backend without a device.
using CudaOnHost = backends::Accelerator<HostQueue>;

}  // namespace graft::test
