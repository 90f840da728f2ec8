// SPDX-License-Identifier: Apache-2.0
// isa: the processor's instruction sets, found at run time, and the one that is used.
#pragma once

#include <array>
#include <cstddef>  // size_t
#include <cstdlib>  // getenv
#include <string>
#include <string_view>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include <graft/base/require.hpp>

namespace graft::backends {

/// What a processor has, each level with all below it: what every x86-64 (or other) one has; AVX2 with FMA; AVX-512 F, DQ, BW,
/// VL; its bf16 products; AMX's tiles of bf16. Our own bodies are compiled for the first three, a gemm door may use all.
enum class Isa { baseline, avx2, avx512, avx512_bf16, amx };
/// Their names, as GRAFT_ISA takes them.
inline constexpr std::array<std::string_view, 5> isa_names = {"baseline", "avx2", "avx512", "avx512_bf16", "amx"};

#if defined(__x86_64__)
/// CPUID leaf 7: tiles, and their bf16 products (GCC 12 knows no name for them).
[[nodiscard]] inline bool has_amx_bf16() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (d >> 22 & 1U) != 0 && (d >> 24 & 1U) != 0;
}
#endif

/// The best level of the processor that runs this.
[[nodiscard]] inline Isa best_isa() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512vl")) {
    const bool bf16 = __builtin_cpu_supports("avx512bf16");
    return bf16 && has_amx_bf16() ? Isa::amx : bf16 ? Isa::avx512_bf16 : Isa::avx512;
  }
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
    return Isa::avx2;
  }
#endif
  return Isa::baseline;
}

/// The level to use: the processor's best, or the lower one that the environment variable GRAFT_ISA names; shape.147 where
/// there is no such level, or the processor has less.
[[nodiscard]] inline Isa chosen_isa() {
  static const Isa chosen = [] {
    const char* const wish = std::getenv("GRAFT_ISA");
    if (wish == nullptr) {
      return best_isa();
    }
    const auto best = static_cast<std::size_t>(best_isa());
    std::string has;
    for (std::size_t level = 0; level <= best; ++level) {
      if (isa_names[level] == wish) {
        return static_cast<Isa>(level);
      }
      has += (has.empty() ? "" : ", ") + std::string(isa_names[level]);
    }
    fail("shape.147", "GRAFT_ISA is \"" + std::string(wish) + "\", and this processor has " + has, "environment");
  }();
  return chosen;
}

}  // namespace graft::backends
