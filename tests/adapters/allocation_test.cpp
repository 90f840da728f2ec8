// SPDX-License-Identifier: Apache-2.0
// After its first step a training allocates nothing: calloc (every Tensor) and operator new (everything else of ours) are counted
// here for the whole program. What a gemm library asks of malloc for its own use is not ours to count. One thread: another takes
// scratch memory with its first task of a kind, and which step that falls into is chance.
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <new>

#include <graft/backends/gemm/eigen.hpp>
#include <graft/backends/simd.hpp>
#include <graft/optimizers/adamw.hpp>
#include <graft/schedules/constant.hpp>
#include <graft/train/dpo.hpp>
#include <graft/train/trainer.hpp>

#include "contracts/adapter_contract.hpp"
#include "support/catch.hpp"
#include "support/every_method.hpp"

#if !defined(__SANITIZE_ADDRESS__)  // which replaces the same functions

namespace {

std::atomic<long> allocations = 0;

void* counted(std::size_t bytes) noexcept {
  ++allocations;
  return std::malloc(bytes > 0 ? bytes : 1);
}

}  // namespace

extern "C" void* calloc(std::size_t count, std::size_t bytes) noexcept {
  void* const memory = count == 0 || bytes <= SIZE_MAX / count ? counted(count * bytes) : nullptr;
  return memory != nullptr ? std::memset(memory, 0, count * bytes) : nullptr;
}
[[gnu::noinline]] void* operator new(std::size_t bytes) {
  void* const memory = counted(bytes);
  return memory != nullptr ? memory : throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* memory) noexcept {
  std::free(memory);
}
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}

using namespace graft;

namespace {

/// Allocations of a training's third step: the first lays the memory out, and what is marked at the arena's peak is copied by
/// the second layout.
template <class TrainerType>
long allocations_of_third_step(TrainerType& trainer, const typename TrainerType::Batch& batch) {
  const long untouched = allocations;
  (void)trainer.step(batch);
  CHECK(allocations > untouched);
  (void)trainer.step(batch);
  const long before = allocations;
  (void)trainer.step(batch);
  return allocations - before;
}

}  // namespace

TEST_CASE("after its first step a training allocates nothing, whatever is attached and whatever is lowered") {
#if defined(_OPENMP)
  const int threads = omp_get_max_threads();
  omp_set_num_threads(1);
#endif
  using B = backends::Simd<backends::EigenGemm>;
  using test::Bench;
  for (std::size_t method = 0; method < test::method_count; ++method) {
    for (const bool recompute : {false, true}) {
      CAPTURE(method, recompute);
      Bench<float, B, test::EveryMethod> bench(test::small_config(),
                                               test::only_number(method, 3, {.positions = ends(2, 2)}), false);
      train::Trainer trainer(bench.be, bench.model, bench.attached, optimizers::AdamW{.decay = 0.1},
                             schedules::Constant{}, {.rate = 2e-2, .recompute = recompute});
      CHECK(allocations_of_third_step(trainer, bench.batch(test::detail::ragged, 3)) == 0);
    }
  }
  Bench<float, B, Stack<At<site::linear, adapters::Lora<2>>>> bench(test::small_config(), {}, false);
  train::Trainer trainer(bench.be, bench.model, bench.attached, optimizers::AdamW{}, schedules::Constant{},
                         {.rate = 2e-2}, train::Dpo{});
  train::PreferenceBatch pairs;
  pairs.push(
      {test::tiny_example(test::small_config(), {9, 6}, 1), test::tiny_example(test::small_config(), {8, 6}, 2)});
  CHECK(allocations_of_third_step(trainer, pairs) == 0);
#if defined(_OPENMP)
  omp_set_num_threads(threads);
#endif
}

#endif
